-- Finds each kind of password hash in one step. A kind is the beginning of a hash: scheme and parameters.
CREATE INDEX users_hash ON users (substr(password, 1, 40)) WHERE password <> '';
