// Shared code of the programs in this folder: a server of their own, its mails, and the line for list.mjs. They run in
// this folder, with the binary's path in ACCOUNTD.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

export const password = "quiet-otter-42";
export const ada = { email: "ada@example.com", username: "ada", password };

// start starts a server with settings in variables, and returns its URLs and stop().
export async function start(settings = {}) {
	const child = spawn(process.env.ACCOUNTD, ["serve", "--ephemeral"], {
		env: { ...process.env, ACCOUNTD_LOG_LEVEL: "error", ...settings }, stdio: ["pipe", "pipe", "inherit"],
	});
	process.on("exit", () => child.kill());
	const [line] = await Promise.race([
		once(createInterface({ input: child.stdout }), "line"),
		once(child, "exit").then(([code]) => { throw new Error(`accountd ended with ${code}`); }),
	]);
	const stop = async () => {
		child.kill();
		await once(child, "exit");
	};
	return { ...JSON.parse(line), stop };
}

// addUser adds a user to the running server, with flags such as --staff.
export function addUser(accountd, username, ...flags) {
	execFileSync(process.env.ACCOUNTD, [
		"user", "add", "--data-dir", accountd.data_dir, "--username", username, "--email", `${username}@example.com`, "--password-stdin", "--verified", ...flags,
	], { input: password, stdio: ["pipe", "ignore", "inherit"] });
}

// activation returns the token of the activation mail to an address. The mail exists once register is answered.
export async function activation(accountd, to) {
	const response = await fetch(`${accountd.mail}.json?limit=1&to=${encodeURIComponent(to)}`);
	const [mail] = await response.json();
	assert.equal(mail.subject, "Activate your account on accountd");
	return mail.token;
}

// expiry is when an access token ends, in milliseconds since 1970.
export function expiry(token) {
	const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
	return JSON.parse(atob(claims)).exp * 1000;
}

// expired waits until the exp of an access token has passed.
export async function expired(token) {
	while (Date.now() < expiry(token)) await sleep(expiry(token) - Date.now());
}

// counted is a fetch that records the method and the query of each request in sent.
export function counted() {
	const counting = (url, init) => {
		const query = init.body ? JSON.parse(init.body).query : new URL(url).searchParams.get("query");
		counting.sent.push(`${init.method} ${query}`);
		return fetch(url, init);
	};
	counting.sent = [];
	return counting;
}

const steps = [];

// step runs one step, and records its success.
export async function step(name, body) {
	try {
		const result = await body();
		steps.push(name);
		return result;
	} catch (failure) {
		console.error(`${process.argv[1]}: ${name}`);
		throw failure;
	}
}

// row prints a line for list.mjs, with the tested packages of npm and their versions in package-lock.json.
export function row(...packages) {
	const { packages: locked } = JSON.parse(readFileSync("package-lock.json", "utf8"));
	const versions = packages.map((name) => locked[`node_modules/${name}`].version);
	ran(packages.join(", "), [...new Set(versions)].join(", "));
}

// ran prints a line for list.mjs about something else than a package of this folder.
export function ran(name, version) {
	console.log(`${name} | ${version} | ${steps.join(", ")} | ok`);
}
