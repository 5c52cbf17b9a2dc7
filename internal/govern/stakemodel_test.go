package govern_test

import (
	"cmp"
	"flag"
	"math/big"
	"math/rand"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/govern"
)

var stakeEpochs = flag.Int("stake.epochs", 0, "how many random epochs TestStakeModel runs (default: 1000, with -short 100)")

// staker and stakeModel are the rules of stake once more, in Go and without storage.
type staker struct {
	id, account, key       uint64
	former, formerUntil    uint64
	commission, next, from uint64
	jailedUntil, offence   uint64
	tombstoned, stands     bool
	stake, shares          *big.Int
	perShare, unsettled    *big.Int
	attended               map[uint64]bool
	delegations            map[uint64]*delegation
}

type delegation struct{ shares, settled, earned *big.Int }

type parcel struct {
	of     *staker
	last   uint64
	exempt bool
	amount *big.Int
}

type stakeModel struct {
	p                 *chain.StakeParams
	height            uint64
	stakers           []*staker // by id
	byID              map[uint64]*staker
	byAccount         map[uint64]*staker
	present           []uint64 // the seats as elected last
	seats             map[uint64][]uint64
	parcels           map[uint64][]parcel
	owed, burnt, held *big.Int
	lastKey           uint64
	slashes, jails    int
	spared            int // epochs in which too many were absent
	joins, exits      int
	completed         int // elections for which too few stood
}

func n0() *big.Int { return new(big.Int) }

func mulDiv(a, b, c *big.Int) *big.Int { return n0().Div(n0().Mul(a, b), c) }

func divUp(a, b *big.Int) *big.Int {
	return n0().Div(n0().Sub(n0().Add(a, b), big.NewInt(1)), b)
}

func newStakeModel(g *chain.Genesis) *stakeModel {
	m := &stakeModel{p: g.Consensus.Stake, height: 1, byID: map[uint64]*staker{}, byAccount: map[uint64]*staker{}, seats: map[uint64][]uint64{},
		parcels: map[uint64][]parcel{}, owed: n0(), burnt: n0(), held: n0(), lastKey: 100_000}
	for _, v := range g.Validators {
		id := uint64(v.ID)
		m.add(id, id, id, 0, (*big.Int)(m.p.MinSelfStake))
		m.seats[0] = append(m.seats[0], id)
		m.present = append(m.present, id)
	}
	return m
}

func (m *stakeModel) add(id, account, key, commission uint64, self *big.Int) {
	s := &staker{id: id, account: account, key: key, commission: commission, next: commission, stands: true, stake: n0(), shares: n0(), perShare: n0(), unsettled: n0(),
		attended: map[uint64]bool{}, delegations: map[uint64]*delegation{}}
	m.stakers, m.byID[id], m.byAccount[account] = append(m.stakers, s), s, s
	m.delegate(account, s, self)
}

func (m *stakeModel) epoch() uint64 { return m.height / m.p.EpochBlocks }

// last is the last epoch whose seats what stands now is, or will be, elected for.
func (m *stakeModel) last() uint64 { return (m.height + chain.ActivationDelay - 1) / m.p.EpochBlocks }

func (m *stakeModel) least() *big.Int {
	return n0().Div((*big.Int)(m.p.MinSelfStake), big.NewInt(1000))
}

func (s *staker) of(who uint64) *delegation {
	if s.delegations[who] == nil {
		s.delegations[who] = &delegation{n0(), n0(), n0()}
	}
	return s.delegations[who]
}

func (s *staker) worth(who uint64) *big.Int {
	if s.shares.Sign() == 0 {
		return n0()
	}
	return mulDiv(s.of(who).shares, s.stake, s.shares)
}

func (s *staker) settle(d *delegation) {
	earned := n0().Rsh(n0().Mul(d.shares, sub(s.perShare, d.settled)), 96)
	d.settled = s.perShare
	d.earned = sum(d.earned, earned)
	s.unsettled = sub(s.unsettled, earned)
}

func (s *staker) charges(epoch uint64) uint64 {
	if epoch >= s.from {
		return s.next
	}
	return s.commission
}

func (m *stakeModel) able(s *staker) bool {
	return s.stands && s.jailedUntil == 0 && !s.tombstoned && s.worth(s.account).Cmp((*big.Int)(m.p.MinSelfStake)) >= 0
}

func (m *stakeModel) delegate(who uint64, s *staker, amount *big.Int) string {
	switch {
	case s == nil:
		return "NoSuchValidator"
	case s.tombstoned:
		return "Tombstoned"
	case amount.Cmp(m.least()) < 0:
		return "TooLittle"
	}
	d := s.of(who)
	s.settle(d)
	shares := amount
	if s.shares.Sign() > 0 {
		shares = mulDiv(amount, s.shares, s.stake)
	}
	d.shares, s.shares, s.stake = sum(d.shares, shares), sum(s.shares, shares), sum(s.stake, amount)
	m.owed, m.held = sum(m.owed, amount), sum(m.held, amount)
	return ""
}

func (m *stakeModel) undelegate(who uint64, s *staker, amount *big.Int) string {
	if s == nil {
		return "NoSuchValidator"
	}
	d := s.of(who)
	worth, all := s.worth(who), amount == nil
	switch {
	case d.shares.Sign() == 0:
		return "Nothing"
	case !all && amount.Cmp(worth) > 0:
		return "TooMuch"
	case !all && amount.Cmp(worth) != 0 && amount.Sign() == 0:
		return "Nothing"
	case !all && amount.Cmp(worth) != 0 && sub(worth, amount).Cmp(m.least()) < 0:
		return "TooLittle"
	}
	shares := d.shares
	if all {
		amount = worth
	}
	if amount.Cmp(worth) != 0 {
		shares = divUp(n0().Mul(amount, s.shares), s.stake)
	}
	key := func(p parcel) bool { return p.of == s && p.last == m.last() && p.exempt == s.tombstoned }
	i := slices.IndexFunc(m.parcels[who], key)
	if amount.Sign() > 0 && i < 0 && len(m.parcels[who]) >= govern.MaxUnbondings {
		return "TooManyUnbondings"
	}
	s.settle(d)
	d.shares, s.shares, s.stake = sub(d.shares, shares), sub(s.shares, shares), sub(s.stake, amount)
	if s.shares.Sign() == 0 {
		m.owed, s.unsettled = sub(m.owed, s.unsettled), n0()
	}
	if i >= 0 {
		m.parcels[who][i].amount = sum(m.parcels[who][i].amount, amount)
	} else if amount.Sign() > 0 {
		m.parcels[who] = append(m.parcels[who], parcel{s, m.last(), s.tombstoned, amount})
	}
	return ""
}

func (m *stakeModel) part(amount *big.Int) *big.Int {
	return divUp(n0().Mul(amount, big.NewInt(int64(m.p.SlashBasisPoints))), big.NewInt(10_000))
}

func (m *stakeModel) withdraw(who uint64) string {
	var left []parcel
	moved := n0()
	for _, p := range m.parcels[who] {
		if m.epoch() <= p.last+m.p.UnbondingEpochs {
			left = append(left, p)
			continue
		}
		moved = sum(moved, p.amount)
		if p.of.tombstoned && !p.exempt && p.last >= p.of.offence {
			m.burnt = sum(m.burnt, m.part(p.amount))
		}
	}
	if moved.Sign() == 0 {
		return "Nothing"
	}
	m.parcels[who] = left
	m.owed, m.held = sub(m.owed, moved), sub(m.held, moved)
	return ""
}

func (m *stakeModel) claim(who uint64, s *staker) string {
	if s == nil {
		return "NoSuchValidator"
	}
	d := s.of(who)
	s.settle(d)
	if d.earned.Sign() == 0 {
		return "Nothing"
	}
	m.owed, m.held, d.earned = sub(m.owed, d.earned), sub(m.held, d.earned), n0()
	return ""
}

// slash is by evidence of the key that is true for height.
func (m *stakeModel) slash(s *staker, key, height uint64) string {
	at := height / m.p.EpochBlocks
	switch {
	case s.tombstoned:
		return "Tombstoned"
	case key != s.key && key != s.former:
		return "BadSignature"
	case at+m.p.UnbondingEpochs < m.epoch() || key == s.former && at > s.formerUntil:
		return "TooOld"
	}
	s.tombstoned, s.stands, s.offence = true, false, min(at, m.epoch())
	cut := m.part(s.stake)
	reward := n0().Div(cut, big.NewInt(20))
	if most := n0().Div((*big.Int)(m.p.MinSelfStake), big.NewInt(10)); reward.Cmp(most) > 0 {
		reward = most
	}
	s.stake, m.owed, m.held = sub(s.stake, cut), sub(m.owed, cut), sub(m.held, cut)
	m.burnt = sum(m.burnt, sub(cut, reward))
	m.slashes++
	return ""
}

func (m *stakeModel) elect() {
	better := func(a, b *staker) int { return cmp.Or(b.stake.Cmp(a.stake), cmp.Compare(a.id, b.id)) }
	able := slices.DeleteFunc(slices.Clone(m.stakers), func(s *staker) bool { return !m.able(s) })
	slices.SortFunc(able, better)
	able = able[:min(len(able), m.p.Seats)]
	var rest []*staker
	for _, id := range m.present {
		if s := m.byID[id]; !slices.Contains(able, s) {
			rest = append(rest, s)
		}
	}
	slices.SortFunc(rest, func(a, b *staker) int {
		if a.tombstoned != b.tombstoned {
			if a.tombstoned {
				return 1
			}
			return -1
		}
		return better(a, b)
	})
	if len(able) < chain.MinSeats {
		m.completed++
	}
	for len(able) < chain.MinSeats {
		able, rest = append(able, rest[0]), rest[1:]
	}
	m.present = nil
	for _, s := range able {
		m.present = append(m.present, s.id)
	}
	m.seats[(m.height+chain.ActivationDelay)/m.p.EpochBlocks] = m.present
}

func (m *stakeModel) endEpoch() {
	m.held = sum(m.held, m.p.EpochReward())
	ended := m.epoch() - 1
	pool, total := sub(m.held, m.owed), n0()
	for _, id := range m.seats[ended] {
		if s := m.byID[id]; s.attended[ended] && !s.tombstoned {
			total = sum(total, s.stake)
		}
	}
	for _, id := range m.seats[ended] {
		s := m.byID[id]
		if !s.attended[ended] || s.tombstoned || s.stake.Sign() == 0 {
			continue
		}
		reward := mulDiv(pool, s.stake, total)
		kept := mulDiv(reward, new(big.Int).SetUint64(s.charges(ended)), big.NewInt(10_000))
		s.of(s.account).earned = sum(s.of(s.account).earned, kept)
		per := n0().Div(n0().Lsh(sub(reward, kept), 96), s.shares)
		s.perShare = sum(s.perShare, per)
		rest := divUp(n0().Mul(per, s.shares), n0().Lsh(big.NewInt(1), 96))
		s.unsettled = sum(s.unsettled, rest)
		m.owed = sum(m.owed, sum(kept, rest))
	}
	able := 0
	for _, s := range m.stakers {
		if m.able(s) {
			able++
		}
	}
	absent := 0
	for _, id := range m.seats[ended] {
		if !m.byID[id].attended[ended] {
			absent++
		}
	}
	if 3*absent > len(m.seats[ended]) {
		m.spared++
		return
	}
	for _, id := range slices.Backward(m.seats[ended]) {
		s := m.byID[id]
		if able <= chain.MinSeats {
			break
		}
		if !s.attended[ended] && m.able(s) {
			s.jailedUntil = ended + 1 + m.p.JailEpochs
			able--
			m.jails++
		}
	}
}

// stakeRun is the model and the contract side by side.
type stakeRun struct {
	*stakeModel
	w       *stakeWorld
	r       *rand.Rand
	nextNew uint64
}

// same lets the contract do what the model did, and refuse what it refused.
func (x *stakeRun) same(refusal string, from uint64, value *big.Int, method string, args ...any) {
	x.w.t.Helper()
	out, err := x.w.tx(account(from), value, method, args...)
	require.Equal(x.w.t, refusal, stakeRevert(out)[:min(len(refusal), len(stakeRevert(out)))], "%s by %d at %d: %x", method, from, x.height, out)
	require.Equal(x.w.t, refusal != "", err != nil, "%s by %d at %d: %s", method, from, x.height, stakeRevert(out))
}

func (x *stakeRun) anyone() uint64 { return uint64(x.r.Intn(40)) + 1 }

// staker is any of the last, so that those who left long ago do not fill the world.
func (x *stakeRun) staker() *staker {
	from := max(0, len(x.stakers)-24)
	return x.stakers[from+x.r.Intn(len(x.stakers)-from)]
}

// amount is of every size, and now and then one that is none.
func (x *stakeRun) amount() *big.Int {
	switch x.r.Intn(12) {
	case 0:
		return n0()
	case 1:
		return sub(x.least(), big.NewInt(1))
	case 2:
		return x.least()
	}
	return n0().Add(n0().Rand(x.r, ether(150)), big.NewInt(x.r.Int63n(1000)))
}

func (x *stakeRun) act() {
	s := x.staker()
	switch k := x.r.Intn(100); {
	case k < 14:
		x.comeOrGo()
	case k < 36:
		who, amount := x.anyone(), x.amount()
		x.same(x.delegate(who, s, amount), who, amount, "delegate", s.id)
	case k < 58:
		x.takeBack(s)
	case k < 66:
		who := x.anyone()
		x.same(x.withdraw(who), who, nil, "withdraw")
	case k < 74:
		who := x.anyone()
		x.same(x.claim(who, s), who, nil, "claim", s.id)
	case k < 79:
		bp := uint64(x.r.Intn(7000))
		if x.r.Intn(2) == 0 {
			bp = s.charges(x.epoch()) + uint64(x.r.Intn(600))
		}
		now, refusal := s.charges(x.epoch()), ""
		if bp > min(govern.MaxCommission, now+govern.MaxCommissionRise) {
			refusal = "BadCommission"
		} else {
			s.commission, s.next, s.from = now, bp, x.epoch()+1
		}
		x.same(refusal, s.account, nil, "changeCommission", uint16(bp))
	case k < 82:
		x.resign(s)
	case k < 87:
		x.standAgain(s)
	case k < 92:
		refusal := ""
		switch {
		case s.jailedUntil == 0:
			refusal = "NotJailed"
		case x.epoch() < s.jailedUntil:
			refusal = "Jailed"
		default:
			s.jailedUntil = 0
		}
		x.same(refusal, s.account, nil, "unjail")
	case k < 95:
		x.rekey(s)
	case k < 97:
		x.contradict(s)
	default:
		x.forge(s)
	}
}

// comeOrGo lets times of joining and times of leaving, when in the end too few stand, follow each other.
func (x *stakeRun) comeOrGo() {
	var able []*staker
	for _, s := range x.stakers {
		if x.able(s) {
			able = append(able, s)
		}
	}
	if exodus := x.epoch()%24 >= 18; len(able) < 30 && !exodus {
		x.join()
	} else if len(able) > 0 {
		for range 1 + len(able)/3 {
			x.resign(able[x.r.Intn(len(able))])
		}
	}
}

func (x *stakeRun) resign(s *staker) {
	refusal := "DoesNotStand"
	if s.stands {
		refusal, s.stands = "", false
		x.exits++
	}
	x.same(refusal, s.account, nil, "resign")
}

func (x *stakeRun) join() {
	n := x.nextNew
	stake, commission, refusal := sum(ether(60), n0().Rand(x.r, ether(300))), uint64(x.r.Intn(5400)), ""
	switch {
	case stake.Cmp((*big.Int)(x.p.MinSelfStake)) < 0:
		refusal = "TooLittle"
	case commission > govern.MaxCommission:
		refusal = "BadCommission"
	}
	// Accounts of stakers are beyond those of delegators.
	x.w.fundOnce(n)
	x.same(refusal, n, stake, "register", public(n), possession(n, account(n)), "n", "h:1", uint16(commission))
	if refusal == "" {
		x.add(x.w.ask("idOf", account(n))[0].(uint64), n, n, commission, stake)
		x.nextNew++
		x.joins++
	}
}

func (x *stakeRun) takeBack(s *staker) {
	who := x.anyone()
	if x.r.Intn(3) == 0 {
		who = s.account
	}
	var amount *big.Int
	switch x.r.Intn(4) {
	case 0:
	case 1:
		amount = x.amount()
	default:
		amount = n0().Rand(x.r, sum(s.worth(who), big.NewInt(2)))
	}
	given := amount
	if given == nil {
		given = max256()
	}
	x.same(x.undelegate(who, s, amount), who, nil, "undelegate", s.id, given)
}

func (x *stakeRun) standAgain(s *staker) {
	refusal := ""
	switch {
	case s.tombstoned:
		refusal = "Tombstoned"
	case s.stands:
		refusal = "AlreadyStands"
	case s.jailedUntil != 0:
		refusal = "Jailed"
	case s.worth(s.account).Cmp((*big.Int)(x.p.MinSelfStake)) < 0:
		refusal = "TooLittle"
	default:
		s.stands = true
	}
	x.same(refusal, s.account, nil, "stand")
}

func (x *stakeRun) rekey(s *staker) {
	x.lastKey++
	refusal := ""
	switch {
	case s.tombstoned:
		refusal = "Tombstoned"
	case s.former != 0 && x.epoch() <= s.formerUntil+x.p.UnbondingEpochs:
		refusal = "TooSoon"
	default:
		s.former, s.formerUntil, s.key = s.key, x.last(), x.lastKey
	}
	x.same(refusal, s.account, nil, "changeKey", public(x.lastKey), possession(x.lastKey, account(s.account)))
}

// contradict is a validator that lies, now or at some height before, or again.
func (x *stakeRun) contradict(s *staker) {
	key := s.key
	if s.former != 0 && x.r.Intn(3) == 0 {
		key = s.former
	}
	height := x.height - min(x.height, uint64(x.r.Intn(int(5*x.p.EpochBlocks))))
	x.same(x.slash(s, key, height), x.anyone(), nil, "slash", append([]any{s.id}, equivocation(key, height)...)...)
}

// forge is evidence that proves nothing against an honest validator.
func (x *stakeRun) forge(s *staker) {
	if s.tombstoned {
		return
	}
	height := x.height
	say := func(h uint64, header byte) []byte {
		return chain.AttestationMessage(genesisHash, h, crypto.Hash{header})
	}
	one, other := say(height, 1), say(height, 2)
	later := say(height+1, 2)
	foreign := [2][]byte{chain.AttestationMessage(crypto.Hash{9}, height, crypto.Hash{1}), chain.AttestationMessage(crypto.Hash{9}, height, crypto.Hash{2})}
	stranger := uint64(99_999)
	forged := []struct {
		want string
		args []any
	}{
		{"NoContradiction", []any{one, signed(s.key, one), one, signed(s.key, one)}},
		{"NoContradiction", []any{one, signed(s.key, one), later, signed(s.key, later)}},
		{"BadSignature", []any{one, signed(s.key, one), other, signed(stranger, other)}},
		{"BadSignature", []any{one, signed(stranger, one), other, signed(s.key, other)}},
		{"BadSignature", []any{one, signed(s.key, one), other, signed(s.key, one)}},
		{"OtherChain", []any{foreign[0], signed(s.key, foreign[0]), foreign[1], signed(s.key, foreign[1])}},
		{"NoEvidence", []any{one[1:], signed(s.key, one[1:]), other[1:], signed(s.key, other[1:])}},
	}
	f := forged[x.r.Intn(len(forged))]
	x.same(f.want, x.anyone(), nil, "slash", append([]any{s.id}, f.args...)...)
}

// endBlock is the chain's part at the end of the present block.
func (x *stakeRun) endBlock() {
	x.w.endBlock()
	if x.p.Ends(x.height) {
		x.endEpoch()
	}
	if x.p.Elects(x.height) {
		x.elect()
		next := (x.height + chain.ActivationDelay) / x.p.EpochBlocks
		require.Equal(x.w.t, x.seats[next], x.w.seats(next), "elected for epoch %d", next)
		_, members := x.w.read()
		require.GreaterOrEqual(x.w.t, len(members), chain.MinSeats)
		var ids []uint64
		for _, m := range members {
			ids = append(ids, uint64(m.ID))
			require.Equal(x.w.t, public(x.byID[uint64(m.ID)].key), m.PublicKey)
		}
		require.ElementsMatch(x.w.t, x.seats[next], ids)
	}
	x.height++
	x.w.setHeight(x.height)
}

// compare asks the contract about everything that the model knows.
func (x *stakeRun) compare() {
	x.w.t.Helper()
	x.w.conserved()
	totals := x.w.ask("totals")
	require.Equal(x.w.t, x.owed.String(), totals[1].(*big.Int).String())
	require.Equal(x.w.t, x.burnt.String(), totals[2].(*big.Int).String())
	require.Equal(x.w.t, x.held.String(), x.w.balance(chain.StakingAddress).String())
	for _, s := range x.stakers[max(0, len(x.stakers)-24):] {
		v := x.w.validator(s.id)
		require.Equal(x.w.t, s.stake.String(), v.Stake.String())
		require.Equal(x.w.t, s.worth(s.account).String(), v.SelfStake.String())
		require.Equal(x.w.t, []any{s.stands, s.tombstoned, s.jailedUntil, x.able(s), s.charges(x.epoch())},
			[]any{v.Stands, v.Tombstoned, v.JailedUntil, v.Able, uint64(v.Commission)}, "validator %d", s.id)
		who := x.anyone()
		d := x.w.ask("delegationOf", s.id, account(who))
		earned := n0().Rsh(n0().Mul(s.of(who).shares, sub(s.perShare, s.of(who).settled)), 96)
		require.Equal(x.w.t, []string{s.worth(who).String(), sum(s.of(who).earned, earned).String()}, []string{d[0].(*big.Int).String(), d[1].(*big.Int).String()})
	}
}

// TestStakeModel: whatever validators, delegators, reporters and strangers send over many epochs, the contract does what the model does; no wei comes or goes
// but what is minted and burnt, each election seats whom it must and at least four, no call by the chain fails, and only those who contradicted
// themselves are slashed.
func TestStakeModel(t *testing.T) {
	epochs := 1000
	if testing.Short() {
		epochs = 100
	}
	if *stakeEpochs > 0 {
		epochs = *stakeEpochs
	}
	for seed, founders := range []int{4, 7, 12} {
		g := staking(founders)
		x := &stakeRun{newStakeModel(g), newStakeWorld(t, g), rand.New(rand.NewSource(int64(seed))), 2000}
		for range (epochs + 2) / 3 * int(x.p.EpochBlocks) {
			// Most blocks are empty; those around an election and an epoch's end are not.
			at := x.height % x.p.EpochBlocks
			if busy := at < 2 || at == 63 || at == 64 || at == 65; busy && x.r.Intn(3) == 0 || x.r.Intn(24) == 0 {
				for range 1 + x.r.Intn(3) {
					x.act()
				}
			}
			if at == 100 {
				x.attendances()
				fees := n0().Rand(x.r, ether(3)) // as the chain credits them, without calling
				x.w.fund(chain.StakingAddress, fees)
				x.w.initial, x.held = sum(x.w.initial, fees), sum(x.held, fees)
				if x.r.Intn(4) == 0 {
					x.compare()
				}
			}
			x.endBlock()
		}
		x.compare()
		require.Positive(t, x.slashes)
		require.Positive(t, x.jails)
		require.Positive(t, x.spared)
		require.Positive(t, x.completed)
		t.Logf("%d founders, %d epochs: %d joins, %d exits, %d jailed, %d slashed, %d elections with too few, %d transactions", founders, x.epoch(), x.joins, x.exits,
			x.jails, x.slashes, x.completed, x.w.sent)
	}
}

// attendances of the epoch's seats: most of them, in some epochs hardly any.
func (x *stakeRun) attendances() {
	lazy := 8
	if x.r.Intn(6) == 0 {
		lazy = 2
	}
	for _, id := range x.seats[x.epoch()] {
		if x.r.Intn(lazy) == 0 {
			continue
		}
		s := x.byID[id]
		key := s.key
		if s.former != 0 && x.r.Intn(2) == 0 {
			key = s.former
		}
		x.w.attend(id, key)
		s.attended[x.epoch()] = true
	}
}
