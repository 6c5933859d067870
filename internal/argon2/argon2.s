// Without this file the compiler refuses the functions of argon2.go that are linked, and so have no body.
