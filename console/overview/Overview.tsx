import { PageHead } from '../ui/parts.tsx'

export function Overview() {
  return <PageHead title="Overview" />
}
