export const Deleveraging = (_: Record<string, unknown>) => null
