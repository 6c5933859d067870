import { defineConfig } from "@playwright/test";

// Settings that the example does not need: more time on a busy machine, and a report for the list in docs/clients.md.
export default defineConfig({
	timeout: 120_000,
	expect: { timeout: 60_000 },
	reporter: [["line"], ["json", { outputFile: process.env.REPORT }]],
});
