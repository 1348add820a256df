export const Parameters = (_: Record<string, unknown>) => null
