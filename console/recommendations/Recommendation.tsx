import { PageHead } from '../ui/parts.tsx'

export default function Recommendation({ id }: { id: string }) {
  return <PageHead title="Recommendation" note={id} />
}
