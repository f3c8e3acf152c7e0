import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// Names without hashes: the server sends an ETag with each file, and a browser asks again each time.
export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    modulePreload: false,
    cssCodeSplit: false,
    reportCompressedSize: false,
    assetsInlineLimit: 0,
    rolldownOptions: {
      checks: { pluginTimings: false },
      output: {
        entryFileNames: 'assets/page.js',
        assetFileNames: 'assets/page.[ext]',
        codeSplitting: false,
      },
    },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
