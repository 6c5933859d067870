-- A refresh token carries its session and generation, so it is found without an index. Hashes are random: each was one
-- more page to write. Tokens from before this step are found by their hash.
ALTER TABLE refresh_tokens ADD COLUMN located INTEGER NOT NULL DEFAULT 0;  -- 1: the token says session_id and generation
DROP INDEX refresh_tokens_hash;
CREATE UNIQUE INDEX refresh_tokens_hash ON refresh_tokens (hash) WHERE located = 0;
