export const Oracle = (_: Record<string, unknown>) => null
