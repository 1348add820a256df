import { PageHead } from '../ui/parts.tsx'

export default function Fund() {
  return <PageHead title="Fund" />
}
