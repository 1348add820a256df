import { PageHead } from '../ui/parts.tsx'

export default function Accounts() {
  return <PageHead title="Accounts" />
}
