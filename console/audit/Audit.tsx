import { PageHead } from '../ui/parts.tsx'

export default function Audit() {
  return <PageHead title="Audit log" />
}
