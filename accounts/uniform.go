package accounts

import "context"

// padDuration begins the time of an operation that mails somebody or nobody. What it returns is to be deferred, before
// anything that takes a place or a transaction, and returns when the answer is due.
//
// The time begins with the operation and not with its request: what precedes it there a client can make slow, by
// a body that arrives in pieces or by other fields, until one outcome is in time and another is not.
func (s *Service) padDuration(ctx context.Context) (due func()) {
	began := s.delay.Now()
	return func() { s.delay.Wait(ctx, began, s.settings.UniformTime) }
}

// Drain sends the answers that wait for their time, and keeps no later one waiting: the server is about to end.
func (s *Service) Drain() { s.delay.Stop() }
