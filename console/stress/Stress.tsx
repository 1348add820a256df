import { PageHead } from '../ui/parts.tsx'

export default function Stress() {
  return <PageHead title="Stress" />
}
