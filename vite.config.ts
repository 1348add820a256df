import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** What `vite` serves while the console is worked on asks this API. */
const api = process.env['API_URL'] ?? 'http://127.0.0.1:4000'

/** The console: two static pages that ask only the API that serves them. */
export default defineConfig({
  root: fileURLToPath(new URL('./console', import.meta.url)),
  base: '/',
  plugins: [react()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2023',
    // Inlined files would need `data:` in the content security policy.
    assetsInlineLimit: 0,
    rollupOptions: { input: { index: fileURLToPath(new URL('./console/index.html', import.meta.url)), sandbox: fileURLToPath(new URL('./console/sandbox.html', import.meta.url)) } },
  },
  // The host stays the page's own: the API takes sessions and sign-ins from its own page alone.
  server: { host: '127.0.0.1', proxy: { '/graphql': { target: api, ws: true }, '/auth': { target: api }, '/export': api } },
})
