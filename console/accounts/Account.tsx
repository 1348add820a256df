import { PageHead } from '../ui/parts.tsx'

export default function Account({ id }: { id: string }) {
  return <PageHead title="Account" note={id} />
}
