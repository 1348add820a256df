export const Liquidity = (_: Record<string, unknown>) => null
