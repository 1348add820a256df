export const Volatility = (_: Record<string, unknown>) => null
