import { PageHead } from '../ui/parts.tsx'

export default function Markets() {
  return <PageHead title="Markets" />
}
