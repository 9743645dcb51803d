package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind classifies a failure by what the caller can do about it.
type Kind int

// The kinds. Their HTTP statuses are in internal/rest.
const (
	Internal           Kind = iota // nobody foresaw it; also any error without a Kind
	Invalid                        // the request itself is wrong: change it
	Unauthenticated                // who is calling is not known: log in
	Forbidden                      // the caller may not do this
	NotFound                       // there is no such thing, or not for this caller
	Conflict                       // the thing's state forbids it now
	OverLimit                      // a quota or rate is used up
	Unavailable                    // a part that is needed does not answer: try again
	Unsupported                    // nobody here can do that
	TooLarge                       // the request is larger than this service takes
	Gone                           // it was there in an earlier version of the API
	MethodNotAllowed               // the resource exists, the verb on it does not
	NotAcceptable                  // no such version of the API
	UnsupportedMedia               // the request's media type is not understood here
	PreconditionFailed             // what the caller assumed is no longer so
	Unprocessable                  // the request is in order, but what it brings is not what it says
)

var names = [...]string{"internal", "invalid", "unauthenticated", "forbidden", "not found", "conflict",
	"over limit", "unavailable", "unsupported", "too large", "gone", "method not allowed", "not acceptable",
	"unsupported media type", "precondition failed", "unprocessable"}

func (k Kind) String() string { return names[k] }

// Error is a failure with a kind. Its message is for the caller: a whole
// sentence that names the resource, the limit or the holder, and no secret.
type Error struct {
	Kind    Kind
	Message string
	// Code is a machine-readable name where a service's envelope has one:
	// Neutron's exception type, Placement's error code. Usually empty.
	Code string
	// RetryAfter is a hint for OverLimit and Unavailable; 0: none.
	RetryAfter time.Duration
	// Cause is for the log only.
	Cause error

	told bool // Message has the cause's text already
}

func (e *Error) Error() string {
	if e.Cause != nil && !e.told {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New makes a fault of kind k. A %w verb in format makes its argument the cause,
// whose text then is part of the message.
func New(k Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Message: err.Error(), Cause: errors.Unwrap(err), told: true}
}

// Wrap gives err a kind and a message of its own; err's text goes to the log,
// not to the caller. Wrap of nil is a fault without a cause.
func Wrap(err error, k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...), Cause: err}
}

// WithCode sets the machine-readable name and returns e.
func (e *Error) WithCode(code string) *Error {
	e.Code = code
	return e
}

// KindOf returns the kind of the outermost fault in err's chain, Internal if
// there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Is reports whether err has kind k. A nil error has none.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// Invalidf and its kin are New for the kinds that are made most often.
func Invalidf(format string, args ...any) *Error   { return New(Invalid, format, args...) }
func Forbiddenf(format string, args ...any) *Error { return New(Forbidden, format, args...) }
func NotFoundf(format string, args ...any) *Error  { return New(NotFound, format, args...) }
func Conflictf(format string, args ...any) *Error  { return New(Conflict, format, args...) }
