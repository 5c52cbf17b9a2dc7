package main

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/node"
	"github.com/jialing-chain/jialing/internal/pki"
)

const caDay = 24 * time.Hour

func (c *cli) caCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "Organisations and the certificates by which they admit nodes",
		Long: `Organisations and the certificates by which they admit nodes.

On a chain whose genesis says "admission": "certificates" a node is let in when an organisation that the chain lists has certified it. An organisation
has a certificate authority: its own (init, issue, renew) or another one to which it sends requests (request). The validators register organisations by
their votes (register, vote); an organisation's admin account revokes its certificates (revoke). docs/certificates.md tells it all.`,
		Example: `  jialing ca init --org "Bank A" --dir bank-a --suite gm
  jialing ca issue --dir bank-a --node node1 --role validator --days 365
  jialing ca renew --dir bank-a --node node1
  jialing ca revoke node1-old.crt --org "Bank A" --from 0x7099…79C8`,
	}
	cmd.AddCommand(c.caInit(), c.caRequest(), c.caIssue(), c.caRenew(), c.caShow(), c.caRevoke(), c.caRegister(), c.caRemove(), c.caIntermediates(), c.caVote("vote", "Vote for a proposal about organisations"),
		c.caVote("execute", "Apply a proposal that got its votes by others' leaving"), c.caVote("withdraw", "Take back a proposal of one's own"), c.caProposals(), c.caOrganisations())
	return cmd
}

func (c *cli) authorityFlags(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", "ca", "the authority's folder")
	cmd.Flags().StringVar(&c.passphraseFile, "passphrase-file", "", "file that holds the passphrase (default $JIALING_PASSPHRASE_FILE, else $JIALING_PASSPHRASE, else ask)")
}

func (c *cli) caInit() *cobra.Command {
	var dir, org, suite, parent, name string
	var days int
	var light bool
	cmd := &cobra.Command{
		Use: "init", Short: "Make an organisation's certificate authority", Args: cobra.NoArgs,
		Long: `Make an organisation's certificate authority in a folder: its key, encrypted with a passphrase, and a root certificate for the chain to register.
With --parent it is an intermediate under that authority, so that the root's key can stay locked away.`,
		RunE: func(*cobra.Command, []string) error {
			about := authorityAbout{Organisation: org, Suite: suite, Name: name}
			var up *authority
			var issuer *pki.Issuer
			if parent != "" {
				var err error
				if up, err = openAuthority(parent); err != nil {
					return err
				}
				if org != "" && org != up.about.Organisation {
					return usagef("--org: the authority in %s is %q's", parent, up.about.Organisation)
				}
				if name == "" {
					return usagef("--name: how is the intermediate called?")
				}
				about.Organisation, about.Suite = up.about.Organisation, up.about.Suite
			} else if org == "" {
				return usagef("--org: whose authority is it?")
			}
			if err := checkDays(days); err != nil {
				return err
			}
			if _, err := node.SuiteByName(about.Suite); err != nil {
				return usagef("--suite: %w", err)
			}
			if err := checkNewFolder(dir); err != nil {
				return err
			}
			pass, err := c.passphrase("Passphrase for the authority's key", parent == "")
			if err != nil {
				return err
			}
			if up != nil {
				if issuer, err = up.issuer(pass); err != nil {
					return err
				}
			}
			a, err := newAuthority(about, issuer, up, pass, time.Duration(days)*caDay, light)
			if err != nil {
				return err
			}
			if err := a.write(dir); err != nil {
				return err
			}
			return c.printAuthority(a)
		},
	}
	c.authorityFlags(cmd, &dir)
	flags := cmd.Flags()
	flags.StringVar(&org, "org", "", "the organisation's name, which its nodes' certificates carry")
	flags.StringVar(&suite, "suite", defaultSuite, "cryptographic suite of the chain: intl (Ed25519) or gm (SM2-SM3)")
	flags.StringVar(&parent, "parent", "", "folder of the authority under which this one is an intermediate (the same passphrase opens it)")
	flags.StringVar(&name, "name", "", "with --parent: the intermediate's name")
	flags.IntVar(&days, "days", 3650, "how long its certificate is valid")
	lightFlag(cmd, &light)
	return cmd
}

func checkDays(days int) error {
	if days < 1 || days > 36500 {
		return usagef("--days must be 1 to 36500")
	}
	return nil
}

func (c *cli) printAuthority(a *authority) error {
	s, _, err := pki.Describe(a.suite, a.chain[0])
	if err != nil {
		return err
	}
	return c.print(s, func(w io.Writer) {
		fmt.Fprintf(w, "folder\t%s\norganisation\t%s\nauthority\t%s\nvalid until\t%s\n", a.dir, a.about.Organisation, s.Name, s.NotAfter.Format(time.DateOnly))
		if a.isRoot() {
			fmt.Fprintf(w, "\nnext:\tlet the validators register %s: jialing ca register %s ADMIN-ACCOUNT %q --from VALIDATOR\n", filepath.Join(a.dir, rootFile),
				filepath.Join(a.dir, rootFile), a.about.Organisation)
		} else {
			fmt.Fprintf(w, "\nnext:\tjialing ca issue --dir %s --node NODE-FOLDER\n", a.dir)
		}
	})
}

// nodeRequest is what a node's certificate is to say.
type nodeRequest struct {
	org, name, role string
}

func (f *nodeRequest) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.role, "role", "", "validator, full, light or regulator (default: validator for one of the genesis', else full; a request's own)")
	cmd.Flags().StringVar(&f.name, "name", "", "the node's name (default: the genesis' or the folder's; a request's own)")
}

func (c *cli) caRequest() *cobra.Command {
	var dir, out string
	var f nodeRequest
	cmd := &cobra.Command{
		Use: "request", Short: "Make a certificate request (PKCS#10) for a node's key, for an authority elsewhere", Args: cobra.NoArgs,
		Example: `  jialing ca request --dir node1 --org "Bank A" --role validator --out node1.csr`,
		RunE: func(*cobra.Command, []string) error {
			if f.org == "" {
				return usagef("--org: which organisation's node is it?")
			}
			n, err := openNodeFolder(dir)
			if err != nil {
				return err
			}
			suite, err := node.SuiteByName(n.genesis.Suite)
			if err != nil {
				return err
			}
			key, err := c.openKey(dir)
			if err != nil {
				return err
			}
			name, role, err := f.complete(n, "", "")
			if err != nil {
				return err
			}
			der, err := suite.Request(rand.Reader, pki.NodeName(f.org, name, role), key)
			if err != nil {
				return err
			}
			if out == "" {
				_, err := c.out.Write(pki.EncodeRequest(der))
				return err
			}
			if err := writeNew(out, pki.EncodeRequest(der), 0o644); err != nil {
				return fmt.Errorf("write the request: %w", err)
			}
			return nil
		},
	}
	dirFlag(cmd, &dir)
	f.register(cmd)
	cmd.Flags().StringVar(&f.org, "org", "", "the organisation as the chain has registered it")
	cmd.Flags().StringVar(&out, "out", "", "file for the request (default: stdout)")
	return cmd
}

// complete says name and role where the flags do not: as asked for, else as the folder suggests.
func (f *nodeRequest) complete(n *nodeFolder, name, role string) (string, pki.Role, error) {
	if n != nil {
		if name == "" {
			name = n.name
		}
		if role == "" {
			role = string(pki.Full)
			for _, v := range n.genesis.Validators {
				if string(v.PublicKey) == string(n.key) {
					role = string(pki.Validator)
				}
			}
		}
	}
	if f.name != "" {
		name = f.name
	}
	if f.role != "" {
		role = f.role
	}
	if !pki.Role(role).Known() {
		return "", "", usagef("--role %q: use validator, full, light or regulator", role)
	}
	return name, pki.Role(role), nil
}

func (c *cli) caIssue() *cobra.Command {
	var dir, folder, csr, out string
	var days int
	var f nodeRequest
	cmd := &cobra.Command{
		Use: "issue", Short: "Issue a node's certificate", Args: cobra.NoArgs,
		Long: `Issue a node's certificate, for a node's folder on this machine or for a request (PKCS#10). Into a folder it goes at once; a node that runs takes it
without a restart.`,
		Example: `  jialing ca issue --dir bank-a --node node1
  jialing ca issue --dir bank-a --csr node1.csr --role full --out node1.crt`,
		RunE: func(*cobra.Command, []string) error {
			a, err := openAuthority(dir)
			if err != nil {
				return err
			}
			if err := checkDays(days); err != nil {
				return err
			}
			key, name, role, err := f.subject(a, folder, csr)
			if err != nil {
				return err
			}
			if out == "" {
				if folder == "" {
					return usagef("--out: where does the certificate go?")
				}
				n, err := openNodeFolder(folder)
				if err != nil {
					return err
				}
				out = n.cfg.CertificatePath()
			}
			return c.issueTo(a, name, role, key, days, out)
		},
	}
	c.authorityFlags(cmd, &dir)
	f.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&folder, "node", "", "the node's folder")
	flags.StringVar(&csr, "csr", "", "the node's certificate request, instead of --node")
	flags.IntVar(&days, "days", 365, "how long it is valid; never longer than the authority's own certificate")
	flags.StringVar(&out, "out", "", "file for the certificate (default: node.crt in --node)")
	return cmd
}

// subject is whose certificate is asked for.
func (f *nodeRequest) subject(a *authority, folder, csr string) (crypto.PublicKey, string, pki.Role, error) {
	if (folder == "") == (csr == "") {
		return nil, "", "", usagef("whose certificate? give --node FOLDER or --csr FILE")
	}
	if folder != "" {
		n, err := openNodeFolder(folder)
		if err != nil {
			return nil, "", "", err
		}
		if n.genesis.Suite != a.about.Suite {
			return nil, "", "", usagef("the node's chain is of suite %q, the authority of %q: an authority of the chain's suite must issue its certificates", n.genesis.Suite, a.about.Suite)
		}
		key, err := a.suite.ParsePublicKey([]byte(n.key))
		if err != nil {
			return nil, "", "", err
		}
		name, role, err := f.complete(n, "", "")
		return key, name, role, err
	}
	b, err := readUpTo(csr, pki.MaxFile)
	if err != nil {
		return nil, "", "", fmt.Errorf("read the request: %w", err)
	}
	der, err := pki.DecodeRequest(b)
	if err != nil {
		return nil, "", "", err
	}
	r, key, err := a.suite.ParseRequest(der)
	if err != nil {
		return nil, "", "", fmt.Errorf("the request: %w", err)
	}
	if orgs := r.Subject.Organization; len(orgs) > 0 && (len(orgs) > 1 || orgs[0] != a.about.Organisation) {
		return nil, "", "", fmt.Errorf("the request is for a node of %q, this is the authority of %q", orgs, a.about.Organisation)
	}
	name, role, err := f.complete(nil, r.Subject.CommonName, roleOf(&r.Subject))
	return key, name, role, err
}

func roleOf(subject *pkix.Name) string {
	if len(subject.OrganizationalUnit) == 1 {
		return subject.OrganizationalUnit[0]
	}
	return ""
}

func (c *cli) issueTo(a *authority, name string, role pki.Role, key crypto.PublicKey, days int, out string) error {
	pass, err := c.passphrase("Passphrase of the authority's key", false)
	if err != nil {
		return err
	}
	issuer, err := a.issuer(pass)
	if err != nil {
		return err
	}
	der, err := issuer.Node(a.about.Organisation, name, role, key, time.Now(), time.Duration(days)*caDay)
	if err != nil {
		return err
	}
	s, err := a.keep(der)
	if err != nil {
		return err
	}
	if err := replaceFile(out, pki.EncodeChain(a.full(der)), 0o644); err != nil {
		return fmt.Errorf("write the certificate: %w", err)
	}
	return c.print(s, func(w io.Writer) {
		printShown(w, s)
		fmt.Fprintf(w, "\nwritten to\t%s\n", out)
	})
}

func (c *cli) caRenew() *cobra.Command {
	var dir, folder string
	var days int
	var own bool
	cmd := &cobra.Command{
		Use: "renew", Short: "Issue a node's certificate anew before it expires, or the authority's own", Args: cobra.NoArgs,
		Long: `Issue a node's certificate anew, for the same key, name and role. A node that runs takes it without a restart. With --ca the root's own certificate is
made anew for the same key: have the validators register it beside the former one (jialing ca register), and remove that once it has expired.`,
		RunE: func(*cobra.Command, []string) error {
			a, err := openAuthority(dir)
			if err != nil {
				return err
			}
			if err := checkDays(days); err != nil {
				return err
			}
			if own {
				if folder != "" {
					return usagef("--ca and --node exclude each other")
				}
				return c.renewRoot(a, days)
			}
			if folder == "" {
				return usagef("whose certificate? give --node FOLDER, or --ca for the authority's own")
			}
			n, err := openNodeFolder(folder)
			if err != nil {
				return err
			}
			path := n.cfg.CertificatePath()
			chain, err := readChain(path)
			if err != nil {
				return err
			}
			s, cert, err := pki.Describe(a.suite, chain[0])
			if err != nil {
				return err
			}
			if s.Organisation != a.about.Organisation {
				return fmt.Errorf("the node's certificate is of %q, this is the authority of %q", s.Organisation, a.about.Organisation)
			}
			key, err := a.suite.CertifiedKey(cert)
			if err != nil {
				return err
			}
			return c.issueTo(a, s.Name, pki.Role(s.Role), key, days, path)
		},
	}
	c.authorityFlags(cmd, &dir)
	cmd.Flags().StringVar(&folder, "node", "", "the node's folder")
	cmd.Flags().IntVar(&days, "days", 365, "how long the new one is valid")
	cmd.Flags().BoolVar(&own, "ca", false, "renew the root's own certificate")
	return cmd
}

// errNotRoot is an intermediate that cannot renew itself.
var errNotRoot = errors.New(`an intermediate is renewed by making another one: jialing ca init --parent`)

func (c *cli) renewRoot(a *authority, days int) error {
	if !a.isRoot() {
		return errNotRoot
	}
	pass, err := c.passphrase("Passphrase of the authority's key", false)
	if err != nil {
		return err
	}
	issuer, err := a.issuer(pass)
	if err != nil {
		return err
	}
	der, err := pki.NewRoot(a.suite, rand.Reader, a.about.Organisation, issuer.Key, time.Now(), time.Duration(days)*caDay)
	if err != nil {
		return err
	}
	for _, name := range []string{authorityChain, rootFile} {
		if err := replaceFile(filepath.Join(a.dir, name), pki.EncodeChain([][]byte{der}), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	a.chain, a.root = [][]byte{der}, der
	return c.printAuthority(a)
}

func (c *cli) caShow() *cobra.Command {
	return &cobra.Command{
		Use: "show FILE", Short: "Show the certificates or the request in a file", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			chain, err := readChain(args[0])
			if err != nil {
				return err
			}
			var all []*pki.Shown
			for _, der := range chain {
				s, err := describe(der)
				if err != nil {
					return err
				}
				all = append(all, s)
			}
			return c.print(all, func(w io.Writer) {
				for i, s := range all {
					if i > 0 {
						fmt.Fprintln(w)
					}
					printShown(w, s)
				}
			})
		},
	}
}

// describe reads a certificate of whichever suite.
func describe(der []byte) (*pki.Shown, error) {
	var last error
	for _, suite := range node.Suites() {
		s, _, err := pki.Describe(suite, der)
		if err == nil {
			return s, nil
		}
		if last == nil || !errors.Is(err, crypto.ErrCertificateSuite) {
			last = err
		}
	}
	return nil, last
}

func printShown(w io.Writer, s *pki.Shown) {
	fmt.Fprintf(w, "name\t%s\n", printable(s.Name))
	if s.Authority {
		fmt.Fprintf(w, "kind\tauthority\n")
	} else {
		fmt.Fprintf(w, "role\t%s\n", printable(s.Role))
	}
	fmt.Fprintf(w, "organisation\t%s\nissued by\t%s\nserial\t%s\nvalid from\t%s\nvalid until\t%s (%s)\n", printable(s.Organisation), printable(s.Issuer), s.Serial,
		s.NotBefore.UTC().Format(time.RFC3339), s.NotAfter.UTC().Format(time.RFC3339), untilText(time.Until(s.NotAfter)))
	if s.PublicKey != "" {
		fmt.Fprintf(w, "public key\t%s\n", s.PublicKey)
	}
}

// untilText is how long there is still time.
func untilText(d time.Duration) string {
	switch {
	case d < 0:
		return "expired " + plural(int(-d/caDay), "day") + " ago"
	case d < 2*caDay:
		return "in " + plural(int(d/time.Hour), "hour")
	}
	return "in " + plural(int(d/caDay), "day")
}
