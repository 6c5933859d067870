-- A refresh token says its session and generation, so that it is found where it lies and needs no index: hashes come in no order, and each was
-- a page of its own to be written. Tokens from before are found by their hash.
ALTER TABLE refresh_tokens ADD COLUMN located INTEGER NOT NULL DEFAULT 0;  -- 1: the token says session_id and generation
DROP INDEX refresh_tokens_hash;
CREATE UNIQUE INDEX refresh_tokens_hash ON refresh_tokens (hash) WHERE located = 0;
