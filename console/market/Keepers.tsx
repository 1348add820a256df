export const Keepers = (_: Record<string, unknown>) => null
