// Runs graphql-codegen over both: the SDL, and a running server. The same must come of them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { start } from "../accountd.mjs";

const accountd = await start();
execFileSync("node_modules/.bin/graphql-codegen", ["--config", "codegen.config.mjs"], {
	env: { ...process.env, SCHEMA_URL: accountd.graphql }, stdio: ["ignore", "inherit", "inherit"],
});
await accountd.stop();

const files = (dir) => Object.fromEntries(readdirSync(dir).map((name) => [name, readFileSync(`${dir}/${name}`, "utf8")]));
const generated = files("generated/codegen");
assert.match(generated["graphql.ts"], /RegisterMutation/);
assert.deepEqual(files("generated/codegen-introspection"), generated);
