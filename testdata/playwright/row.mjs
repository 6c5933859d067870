// Prints the row of the tests that have run, from the report at the path REPORT. It fails if none or not all have run.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const { stats, suites, config } = JSON.parse(readFileSync(process.env.REPORT, "utf8"));
const steps = suites.flatMap((suite) => suite.specs).filter((spec) => spec.ok).map((spec) => spec.title);
assert.ok(steps.length > 0 && stats.expected === steps.length && stats.skipped + stats.unexpected + stats.flaky === 0, JSON.stringify(stats));
console.log(`@playwright/test | ${config.version} | ${steps.join(", ")} | ok`);
