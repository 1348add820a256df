import { PageHead } from '../ui/parts.tsx'

export default function Proposal({ id }: { id: string }) {
  return <PageHead title="Proposal" note={id} />
}
