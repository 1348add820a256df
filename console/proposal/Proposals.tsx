import { PageHead } from '../ui/parts.tsx'

export default function Proposals() {
  return <PageHead title="Proposals" />
}
