package accounts

import "context"

// padDuration makes the duration of an operation constant (limits.uniform_time), so that it does not reveal whether a
// mail was sent. The returned function waits for the rest of the duration. Defer it first, so that it runs after
// places for hashes and transactions are given back.
//
// The duration begins with the operation and not with the request. A client could delay the time between them, by a
// slow body or by other fields, until only one outcome of the operation is in time.
func (s *Service) padDuration(ctx context.Context) (due func()) {
	began := s.delay.Now()
	return func() { s.delay.Wait(ctx, began, s.settings.UniformTime) }
}

// Drain ends the waits of padDuration and of wrong passwords, present and future. It is for the end of the server.
func (s *Service) Drain() { s.delay.Stop() }
