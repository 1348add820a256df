import { PageHead } from '../ui/parts.tsx'

export default function Parameter({ name, subject }: { name: string; subject: string }) {
  return <PageHead title="Parameter" note={`${name} of ${subject}`} />
}
