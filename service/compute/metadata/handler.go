package metadata

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kilonova/internal/fault"
)

// Config is what a Handler needs.
type Config struct {
	// Find returns an instance that no longer changes, fault.NotFound when there
	// is none of that UUID.
	Find func(ctx context.Context, instanceID string) (*Instance, error)
	// SetPassword keeps what the guest of an instance has posted. When it has
	// one already that is fault.Conflict. Nil: passwords are not kept.
	SetPassword func(ctx context.Context, instanceID, password string) error
	// ServerAt finds the instance at an address, for guests that ask without the
	// network service's proxy; fault.NotFound when there is none. nil: the proxy
	// alone may ask.
	ServerAt func(ctx context.Context, address netip.Addr) (string, error)
	// ForwardedFor believes what a proxy of the operator's says of the address.
	ForwardedFor bool
	// Vendor gives operators' data. May be nil.
	Vendor *Vendor
	// Secret is shared with the proxy ([neutron] metadata_proxy_shared_secret).
	Secret string
	Log    *slog.Logger
	Now    func() time.Time
	// Expiration is how long a found instance is remembered
	// ([api] metadata_cache_expiration); 0: DefaultExpiration.
	Expiration time.Duration
}

// Defaults and limits of a Handler.
const (
	DefaultExpiration = 15 * time.Second
	MaxPassword       = 4 * 255 // bytes of a posted password, as upstream keeps it
	maxInstanceID     = 64
)

// Handler serves metadata to the network service's proxy, which adds to a guest's
// request whose it is and signs that (X-Instance-ID, X-Tenant-ID,
// X-Instance-ID-Signature: the hexadecimal HMAC-SHA256 of the instance's id).
// Requests without the headers are answered 400, with a wrong signature 403 (with
// ServerAt the headers do not count: who asks is who has the address); an
// instance that is not there, or not of that project, or has nothing at the path,
// is 404.
type Handler struct {
	config Config
	cache  *cache
}

// NewHandler checks the configuration: without a secret anybody could sign.
func NewHandler(c Config) (*Handler, error) {
	if c.Find == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("metadata: the handler lacks Find, Now or Log")
	}
	if c.Secret == "" && c.ServerAt == nil {
		return nil, fault.Invalidf("[neutron] metadata_proxy_shared_secret is empty; guests' metadata cannot be served without it.")
	}
	if c.Expiration == 0 {
		c.Expiration = DefaultExpiration
	}
	return &Handler{config: c, cache: newCache(func(ctx context.Context, id string) (*Instance, error) {
		inst, err := c.Find(ctx, id)
		if err == nil {
			c.Vendor.Static(inst)
		}
		return inst, err
	}, c.Now, c.Expiration)}, nil
}

// Forget makes the next request for an instance look it up again.
func (h *Handler) Forget(instanceID string) { h.cache.forget(instanceID) }

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Clean("/" + r.URL.Path)
	if name == "/" { // the same for everybody
		c, _ := (&Tree{inst: &Instance{}}).Read("/")
		send(w, r, c)
		return
	}
	inst, err := h.instance(r)
	if err == nil {
		err = h.serve(w, r, inst, name)
	}
	if err != nil {
		h.refuse(w, r, err)
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, inst *Instance, name string) error {
	if strings.HasSuffix(name, "/"+vendorFile2) {
		told := *inst // others read the cached one
		if err := h.config.Vendor.Dynamic(r.Context(), &told); err != nil {
			return err
		}
		inst = &told
	}
	c, err := NewTree(inst).Read(name)
	if err != nil {
		return err
	}
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		send(w, r, c)
		return nil
	case isPassword(name):
		if r.Method != http.MethodPost || h.config.SetPassword == nil {
			return fault.Invalidf("GET and POST only are supported.")
		}
		return h.setPassword(w, r, inst)
	}
	return fault.New(fault.MethodNotAllowed, "Metadata can only be read.")
}

// byAddress finds out who asks without a proxy that vouches for it.
func (h *Handler) byAddress(r *http.Request) (*Instance, error) {
	text := r.RemoteAddr
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	if forwarded := r.Header.Get("X-Forwarded-For"); h.config.ForwardedFor && forwarded != "" {
		text = strings.TrimSpace(forwarded)
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return nil, fault.NotFoundf("No instance has the address %.64q.", text)
	}
	id, err := h.config.ServerAt(r.Context(), address.Unmap())
	if fault.Is(err, fault.Conflict) {
		return nil, fault.New(fault.NotFound, "%w", err) // it cannot be told whose metadata these are
	}
	if err != nil {
		return nil, err
	}
	return h.cache.get(r.Context(), id)
}

// instance finds out who asks.
func (h *Handler) instance(r *http.Request) (*Instance, error) {
	if h.config.ServerAt != nil {
		return h.byAddress(r)
	}
	var values [3]string
	for i, name := range []string{"X-Instance-ID", "X-Instance-ID-Signature", "X-Tenant-ID"} {
		all := r.Header.Values(name)
		switch {
		case len(all) == 0:
			return nil, fault.Invalidf("%s header is missing from request.", name)
		case len(all) > 1 || strings.Contains(all[0], ","):
			return nil, fault.Invalidf("Multiple %s headers found within request.", name)
		}
		values[i] = all[0]
	}
	id, signature, project := values[0], values[1], values[2]
	if !hmac.Equal([]byte(Sign(h.config.Secret, id)), []byte(signature)) {
		h.config.Log.Warn("metadata: the signature does not match the instance id", "server", cut(id), "address", cut(r.Header.Get("X-Forwarded-For")))
		return nil, fault.Forbiddenf("Invalid proxy request signature.")
	}
	if len(id) > maxInstanceID {
		return nil, fault.NotFoundf("No instance has that id.")
	}
	inst, err := h.cache.get(r.Context(), id)
	if err != nil {
		return nil, err
	}
	if inst.ProjectID != project {
		h.config.Log.Warn("metadata: the instance is of another project than the proxy says", "server", id, "project", cut(project))
		return nil, fault.NotFoundf("Instance %s could not be found.", id)
	}
	return inst, nil
}

// Sign is the signature of an instance id, as the proxy sends it.
func Sign(secret, instanceID string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(instanceID))
	return hex.EncodeToString(mac.Sum(nil))
}

// setPassword keeps a guest's password, which may be given once.
func (h *Handler) setPassword(w http.ResponseWriter, r *http.Request, inst *Instance) error {
	if inst.Password != "" {
		return fault.Conflictf("The password of instance %s has been set already.", inst.UUID)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxPassword))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return fault.Invalidf("Request is too large.")
	}
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "The request broke off.")
	}
	if !utf8.Valid(body) {
		return fault.Invalidf("The password is not UTF-8.")
	}
	if err := h.config.SetPassword(r.Context(), inst.UUID, string(body)); err != nil {
		return err
	}
	h.cache.forget(inst.UUID)
	w.Header().Set("Content-Type", textType)
	w.WriteHeader(http.StatusOK)
	return nil
}

// statuses of what can go wrong here.
var statuses = map[fault.Kind]int{
	fault.Invalid: http.StatusBadRequest, fault.Forbidden: http.StatusForbidden, fault.NotFound: http.StatusNotFound,
	fault.Conflict: http.StatusConflict, fault.MethodNotAllowed: http.StatusMethodNotAllowed, fault.Unavailable: http.StatusServiceUnavailable,
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody waits for the answer
	}
	status, known := statuses[fault.KindOf(err)]
	message := "An unknown error has occurred. Please try your request again."
	if f, ok := errors.AsType[*fault.Error](err); ok && known {
		message = f.Message
	} else {
		status = http.StatusInternalServerError
	}
	if status >= 500 {
		h.config.Log.Error("metadata: request failed", "path", cut(r.URL.Path), "server", cut(r.Header.Get("X-Instance-ID")), "error", err)
	}
	send(w, r, Content{Body: []byte(message + "\n"), Type: textType}, status)
}

func send(w http.ResponseWriter, r *http.Request, c Content, status ...int) {
	w.Header().Set("Content-Type", c.Type)
	w.Header().Set("Content-Length", strconv.Itoa(len(c.Body)))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	for _, s := range status {
		w.WriteHeader(s)
	}
	if r.Method != http.MethodHead {
		w.Write(c.Body) // a guest that has gone is no matter
	}
}

// cut bounds what a stranger writes into the log.
func cut(s string) string { return s[:min(len(s), 128)] }
