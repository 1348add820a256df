import { PageHead } from '../ui/parts.tsx'

export default function Recommendations() {
  return <PageHead title="Recommendations" />
}
