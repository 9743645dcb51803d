package rest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS lets pages of other origins use a service from a browser, in the manner
// of oslo.middleware's section [cors].
type CORS struct {
	// Origins are those that are let in, e.g. "https://cloud.example.com"; "*"
	// is everybody.
	Origins []string
	// Headers of requests and of answers that pages may use besides the simple
	// ones.
	Headers, Expose []string
	// MaxAge is how long a browser may remember the answer; 0: an hour.
	MaxAge time.Duration
}

// corsMethods may be asked for by pages.
var corsMethods = []string{"OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PATCH"}

// simpleHeaders need nobody's leave.
var simpleHeaders = []string{"accept", "accept-language", "content-type", "cache-control", "content-language", "expires", "last-modified", "pragma"}

// handler puts c before h. Every OPTIONS is answered here.
func (c *CORS) handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		allowed := origin != "" && (slices.Contains(c.Origins, origin) || slices.Contains(c.Origins, "*"))
		w.Header().Add("Vary", "Origin")
		if r.Method == http.MethodOptions {
			if allowed {
				c.preflight(w.Header(), r, origin)
			}
			w.WriteHeader(http.StatusOK)
			return
		}
		if allowed {
			c.admit(w.Header(), origin)
			if len(c.Expose) > 0 {
				w.Header().Set("Access-Control-Expose-Headers", strings.Join(c.Expose, ","))
			}
		}
		h.ServeHTTP(w, r)
	})
}

func (c *CORS) admit(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
}

// preflight answers a browser that asks before it asks. What may not be is
// answered by silence.
func (c *CORS) preflight(h http.Header, r *http.Request, origin string) {
	method := r.Header.Get("Access-Control-Request-Method")
	if !slices.Contains(corsMethods, method) {
		return
	}
	var wanted []string
	for name := range strings.SplitSeq(r.Header.Get("Access-Control-Request-Headers"), ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		same := func(n string) bool { return strings.EqualFold(n, name) }
		if !slices.ContainsFunc(c.Headers, same) && !slices.ContainsFunc(simpleHeaders, same) {
			return
		}
		wanted = append(wanted, name)
	}
	c.admit(h, origin)
	h.Set("Access-Control-Allow-Methods", method)
	if len(wanted) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(wanted, ","))
	}
	age := c.MaxAge
	if age == 0 {
		age = time.Hour
	}
	h.Set("Access-Control-Max-Age", strconv.Itoa(int(age.Seconds())))
}
