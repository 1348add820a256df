import { PageHead } from '../ui/parts.tsx'

export default function Breakers() {
  return <PageHead title="Circuit breakers" />
}
