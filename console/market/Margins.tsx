export const Margins = (_: Record<string, unknown>) => null
