export const Breaker = (_: Record<string, unknown>) => null
