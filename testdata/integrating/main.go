// Command integrating tests the Go examples of docs/integrating.md.
//
// For each access token, a line of the input, it prints the user by verifying the token and the user by asking
// verifyToken, or "nobody".
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"log"
	"os"
)

func main() {
	v := &Verifier{Algorithm: os.Getenv("ALGORITHM"), Issuer: os.Getenv("ISSUER"), Audience: os.Getenv("AUDIENCE")}
	if v.Algorithm == "HS256" {
		secret, err := os.ReadFile(os.Getenv("SECRET_FILE"))
		if err != nil {
			log.Fatal(err)
		}
		v.Good = HMAC(bytes.TrimRight(secret, "\n"))
	} else {
		v.Good = (&PublicKeys{URL: os.Getenv("JWKS")}).Good
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		verified, asked := "nobody", "nobody"
		if claims, err := v.Verify(lines.Text()); err == nil {
			verified = claims.User
		}
		claims, err := Ask(client, os.Getenv("API"), lines.Text())
		if err != nil {
			log.Fatal(err)
		}
		if claims != nil {
			asked = claims.User
		}
		fmt.Println(verified, asked)
	}
}
