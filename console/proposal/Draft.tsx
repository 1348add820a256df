import { PageHead } from '../ui/parts.tsx'

export default function Draft() {
  return <PageHead title="Draft" />
}
