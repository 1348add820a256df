export const Interest = (_: Record<string, unknown>) => null
