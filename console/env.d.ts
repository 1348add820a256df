/** Vite takes a page's styles from its imports. */
declare module '*.css'
