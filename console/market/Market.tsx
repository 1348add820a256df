import { PageHead } from '../ui/parts.tsx'

export default function Market({ id }: { id: string }) {
  return <PageHead title="Market" note={id} />
}
