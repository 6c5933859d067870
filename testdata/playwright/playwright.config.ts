import { defineConfig } from "@playwright/test";

// What the example does not need: time on a busy machine, and a report for the table of docs/clients.md.
export default defineConfig({
	timeout: 120_000,
	expect: { timeout: 60_000 },
	reporter: [["line"], ["json", { outputFile: process.env.REPORT }]],
});
