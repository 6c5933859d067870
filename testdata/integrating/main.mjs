// As main.go, for Node.js.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ask } from './ask.mjs';
import { hmac, publicKeys, verify } from './verify.mjs';

const { ALGORITHM, ISSUER, AUDIENCE, SECRET_FILE, JWKS, API } = process.env;
const good = ALGORITHM === 'HS256' ? hmac(readFileSync(SECRET_FILE, 'utf8').trimEnd()) : publicKeys(JWKS, 0);
const rules = { algorithm: ALGORITHM, issuer: ISSUER, audience: AUDIENCE || undefined, good };
for await (const token of createInterface({ input: process.stdin })) {
  const verified = await verify(token, rules);
  console.log(verified?.sub ?? 'nobody', (await ask(API, token))?.sub ?? 'nobody');
}
