-- What registrations of a claimed address would have taken if the address had been free (accounts.reveal_accounts =
-- "nothing"). Other users get it no sooner than they would get it from an unverified account.
CREATE TABLE held_values (
  name         TEXT NOT NULL,                     -- of the field; "username skeleton" for that of a username
  value        ANY NOT NULL,
  registration INTEGER NOT NULL,                  -- the id that the account would have had
  held_at      INTEGER NOT NULL,
  PRIMARY KEY (name, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX held_values_registration ON held_values (registration);
