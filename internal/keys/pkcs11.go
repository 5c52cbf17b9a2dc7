//go:build cgo

package keys

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/miekg/pkcs11"
)

// keyTypes and classes that are looked for by label; a label that names two keys is refused, for nobody could say which one signs.
const maxFound = 2

// module is a loaded library. Its state belongs to the process (C_Initialize), so those who open the same one share it.
type module struct {
	ctx   *pkcs11.Ctx
	users int
}

// modules are the libraries that are loaded, by path. It is the one variable of the package, because C_Initialize has the process for its scope.
var modules = struct {
	mu sync.Mutex
	by map[string]*module
}{by: make(map[string]*module)}

func loadModule(path string) (*pkcs11.Ctx, error) {
	modules.mu.Lock()
	defer modules.mu.Unlock()
	if m := modules.by[path]; m != nil {
		m.users++
		return m.ctx, nil
	}
	ctx := pkcs11.New(path)
	if ctx == nil {
		return nil, fmt.Errorf("%w: %s cannot be loaded as a PKCS#11 library: check key.module in node.toml and that the driver is installed", ErrDevice, path)
	}
	if err := ctx.Initialize(); err != nil && !isCode(err, pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		ctx.Destroy()
		return nil, fmt.Errorf("%w: initialise %s: %w", ErrDevice, path, err)
	}
	modules.by[path] = &module{ctx, 1}
	return ctx, nil
}

// unloadModule lets go of a library; the last one ends it, so that the next to load it sees which tokens are there then.
func unloadModule(path string) error {
	modules.mu.Lock()
	defer modules.mu.Unlock()
	m := modules.by[path]
	if m.users--; m.users > 0 {
		return nil
	}
	delete(modules.by, path)
	err := m.ctx.Finalize()
	m.ctx.Destroy()
	return err
}

// session is an open connection to a token with its user logged in. It implements Device once it has found its key.
type session struct {
	token  Token
	scheme scheme
	ctx    *pkcs11.Ctx
	handle pkcs11.SessionHandle
	key    pkcs11.ObjectHandle
	point  []byte
}

// openPKCS11 implements a Device by a PKCS#11 library.
func openPKCS11(t Token, pin []byte) (Device, error) {
	s, err := login(t, pin, 0)
	if err != nil {
		return nil, err
	}
	if err := s.find(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// login opens a session on the token. flags are those of C_OpenSession beyond the one that it must have.
func login(t Token, pin []byte, flags uint) (*session, error) {
	ctx, err := loadModule(t.Module)
	if err != nil {
		return nil, err
	}
	s := &session{token: t, scheme: t.scheme(), ctx: ctx}
	slot, err := s.slot()
	if err == nil {
		s.handle, err = ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|flags)
		err = broken("open a session", err)
	}
	if err != nil {
		return nil, errors.Join(err, unloadModule(t.Module))
	}
	// The library takes a string, of which a copy remains in memory until the collector has overwritten it.
	switch err := ctx.Login(s.handle, pkcs11.CKU_USER, string(pin)); {
	case err == nil || isCode(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN):
		return s, nil
	case isCode(err, pkcs11.CKR_PIN_INCORRECT) || isCode(err, pkcs11.CKR_PIN_LEN_RANGE):
		return nil, errors.Join(ErrPassphrase, s.Close())
	case isCode(err, pkcs11.CKR_PIN_LOCKED):
		return nil, errors.Join(fmt.Errorf("%w: token %q has locked itself after too many wrong PINs: unlock it with its security officer's PIN", ErrDevice, t.Name), s.Close())
	default:
		return nil, errors.Join(broken("log in", err), s.Close())
	}
}

// slot finds the token by its label.
func (s *session) slot() (uint, error) {
	slots, err := s.ctx.GetSlotList(true)
	if err != nil {
		return 0, broken("list the tokens", err)
	}
	var found []uint
	var names []string
	for _, slot := range slots {
		info, err := s.ctx.GetTokenInfo(slot)
		if err != nil {
			continue // pulled since
		}
		name := strings.TrimRight(info.Label, " \x00")
		if info.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 {
			continue
		}
		names = append(names, fmt.Sprintf("%q", name))
		if name != s.token.Name {
			continue
		}
		if info.Flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0 {
			return 0, fmt.Errorf("%w: token %q would lock itself at one more wrong PIN, and this program leaves that one to you: log in with the vendor's tool first",
				ErrDevice, name)
		}
		found = append(found, slot)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if names == nil {
			names = []string{"none"}
		}
		return 0, fmt.Errorf("%w: token %q is not there (present: %s): plug it in, or correct key.token in node.toml", ErrDevice, s.token.Name, strings.Join(names, ", "))
	}
	return 0, fmt.Errorf("%w: %d tokens are labelled %q: give them different labels", ErrDevice, len(found), s.token.Name)
}

// find looks up the key and its public half.
func (s *session) find() error {
	var err error
	if s.key, err = s.object(pkcs11.CKO_PRIVATE_KEY, "private"); err != nil {
		return err
	}
	public, err := s.object(pkcs11.CKO_PUBLIC_KEY, "public")
	if err != nil {
		return err
	}
	attrs, err := s.ctx.GetAttributeValue(s.handle, public, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, nil)})
	if err != nil {
		return broken("read the public key", err)
	}
	if s.point, err = s.scheme.public(attrs[0].Value); err != nil {
		return fmt.Errorf("%w: key %q: %w", ErrDevice, s.token.Label, err)
	}
	return nil
}

func (s *session) object(class uint, kind string) (pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_LABEL, s.token.Label)}
	if err := s.ctx.FindObjectsInit(s.handle, template); err != nil {
		return 0, broken("look for the key", err)
	}
	found, _, err := s.ctx.FindObjects(s.handle, maxFound)
	if err = errors.Join(err, s.ctx.FindObjectsFinal(s.handle)); err != nil {
		return 0, broken("look for the key", err)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return 0, fmt.Errorf("%w: token %q has no %s key labelled %q: correct key.label in node.toml, or make it: jialing key new --pkcs11-module", ErrDevice,
			s.token.Name, kind, s.token.Label)
	}
	return 0, fmt.Errorf("%w: token %q has more than one %s key labelled %q: give them different labels", ErrDevice, s.token.Name, kind, s.token.Label)
}

// Public implements Device.
func (s *session) Public() []byte { return s.point }

// Sign implements Device.
func (s *session) Sign(msg []byte) ([]byte, error) {
	input, err := s.scheme.input(s.point, msg)
	if err != nil {
		return nil, err
	}
	if err := s.ctx.SignInit(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(s.scheme.mechanism(), nil)}, s.key); err != nil {
		return nil, s.lost(err)
	}
	sig, err := s.ctx.Sign(s.handle, input)
	if err != nil {
		return nil, s.lost(err)
	}
	return sig, nil
}

// lost words a failure of a device that worked.
func (s *session) lost(err error) error {
	return fmt.Errorf("token %q no longer signs with key %q, it was pulled or reset (%w)", s.token.Name, s.token.Label, err)
}

// Close implements Device.
func (s *session) Close() error {
	// A token that was pulled has closed the session itself.
	_ = s.ctx.CloseSession(s.handle)
	return unloadModule(s.token.Module)
}

// GenerateInToken makes a key in the token that never leaves it, under a label that is free there.
func GenerateInToken(t Token, from *Sources) error {
	return from.Unlock(fmt.Sprintf("token %q", t.Name), maxPINAttempts, func(pin []byte) error {
		s, err := login(t, pin, pkcs11.CKF_RW_SESSION)
		if err != nil {
			return err
		}
		return errors.Join(s.generate(), s.Close())
	})
}

func (s *session) generate() error {
	if _, err := s.object(pkcs11.CKO_PRIVATE_KEY, "private"); err == nil {
		return fmt.Errorf("token %q has a key labelled %q already: choose another label", s.token.Name, s.token.Label)
	}
	mechanism, curves := s.scheme.generation()
	if mechanism == 0 {
		return fmt.Errorf("%w: PKCS#11 has no mechanism for keys of this kind: make it with the vendor's tool", ErrDevice)
	}
	var last error
	for _, curve := range curves {
		_, _, last = s.ctx.GenerateKeyPair(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)},
			[]*pkcs11.Attribute{
				pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, curve), pkcs11.NewAttribute(pkcs11.CKA_LABEL, s.token.Label),
				pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false),
			},
			[]*pkcs11.Attribute{
				pkcs11.NewAttribute(pkcs11.CKA_LABEL, s.token.Label), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
				pkcs11.NewAttribute(pkcs11.CKA_SIGN, true), pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
			})
		if last == nil {
			return nil
		}
	}
	return broken("make the key", last)
}

// broken words an error of the library; nil stays nil.
func broken(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrDevice, doing, err)
}

func isCode(err error, code pkcs11.Error) bool {
	var e pkcs11.Error
	return errors.As(err, &e) && e == code
}
