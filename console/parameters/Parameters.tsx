import { PageHead } from '../ui/parts.tsx'

export default function Parameters() {
  return <PageHead title="Parameters" />
}
