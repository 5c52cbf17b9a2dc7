// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Evidence} from "./Evidence.sol";

/// @dev What this contract asks of the contract Validators, which the genesis puts at 0x0000000000000000000000000000000000001001.
interface IValidators {
    struct Member {
        uint64 id;
        address account;
        string name;
        string endpoint;
        bytes publicKey;
    }

    function memberIds() external view returns (uint64[] memory);

    function memberOf(bytes calldata publicKey, address account) external view returns (uint64 id);

    function enrol() external returns (uint64 id);

    function seat(Member[] calldata seats) external;
}

/// @title Stake, and the seats that it elects
/// @notice Whoever has stake behind it may order and attest blocks: each epoch the validators with the most of it are seated. Stake earns what
/// the epoch mints and what fees came in, and burns when the validator behind which it stands contradicts itself. The genesis puts it
/// at 0x0000000000000000000000000000000000001003.
/// @dev The chain itself calls, as SYSTEM and at the end of a block, `elect()` where (height + 64) is a multiple of the epoch's length, and
/// `endEpoch(uint256 minted)` where the height is one, `minted` being on the balance already; a revert of either would stop the chain. Epoch e
/// is the blocks e·epochBlocks … (e+1)·epochBlocks−1: what elect writes rules 64 blocks later. All wei that this contract owes anybody is in `owed`;
/// the balance beyond it is what the next epoch's end shares, so no wei is lost to rounding. Parameters, founders and the slots are
/// written by internal/govern/stakegenesis.go and read by internal/govern/stakelayout.go.
contract Staking {
    struct Validator {
        uint64 id;
        address account; // stakes for itself, and is its blocks' COINBASE
        uint16 commission; // basis points of its seat's reward, until the epoch commissionFrom
        uint16 nextCommission; // from then on
        uint64 commissionFrom;
        uint64 jailedUntil; // from this epoch on it may leave jail; 0: it is not there
        uint64 offence; // the epoch of what it was slashed for
        uint32 position; // index in candidates + 1; 0: it does not stand
        bool tombstoned; // slashed: it never stands again
        uint128 stake; // all that is delegated to it, its own included
        uint128 shares; // of that stake; one wei each until it is slashed
        uint128 selfShares; // its account's
        uint64 formerUntil; // the last epoch in which formerKey may have had a seat
        uint256 perShare; // what one share has earned since ever, in 2^-96 wei
        uint256 unsettled; // what shares have earned and nobody's delegation holds yet
        uint64[2] attended; // the last even and the last odd epoch in which it was present, + 1
        string name;
        string endpoint;
        bytes publicKey;
        bytes formerKey;
    }

    struct Delegation {
        uint128 shares;
        uint256 settled; // perShare up to which earned holds it all
        uint256 earned; // claimable wei
    }

    /// @dev Stake that was taken back.
    struct Unbonding {
        uint64 id; // of the validator that it stood behind
        uint48 last; // the last epoch whose seats it stood behind
        bool exempt; // from the validator's slash, which has cut it already
        uint128 amount;
    }

    struct Seats {
        uint64 epoch;
        uint64[] ids; // by descending stake
    }

    /// @notice A validator for readers. `able`: it would be elected if its stake suffices.
    struct Standing {
        uint64 id;
        address account;
        string name;
        string endpoint;
        bytes publicKey;
        uint256 stake;
        uint256 selfStake;
        uint16 commission;
        uint16 nextCommission;
        uint64 jailedUntil;
        bool stands;
        bool tombstoned;
        bool able;
    }

    /// @notice Stake on its way back: `amount` is paid from epoch `from` on.
    struct Claim {
        uint64 id;
        uint64 from;
        uint256 amount;
    }

    IValidators private constant VALIDATORS = IValidators(address(0x1001));
    address private constant SYSTEM = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;

    /// @notice After how many blocks a change of seats takes effect.
    uint64 public constant ACTIVATION_DELAY = 64;
    /// @notice With fewer than four no fault is borne.
    uint256 public constant MIN_SEATS = 4;
    /// @notice An election reads them all, in some four million gas; and no more than four times the most seats have a chance.
    uint256 public constant MAX_CANDIDATES = 512;
    /// @notice How many parcels of stake one account may have on its way back: `withdraw` looks at each.
    uint256 public constant MAX_UNBONDINGS = 32;
    /// @notice The most that a validator keeps of its delegators' rewards, in basis points, and by how much it may raise that in one epoch:
    /// who delegates shall keep the greater part, and be able to leave before the terms are others.
    uint16 public constant MAX_COMMISSION = 5000;
    uint16 public constant MAX_COMMISSION_RISE = 500;
    /// @notice The longest name (64 characters of four bytes) and endpoint (a host name's limit), in bytes.
    uint256 public constant MAX_NAME = 256;
    uint256 public constant MAX_ENDPOINT = 255;
    /// @dev All stake together: products of two amounts fit into 256 bits.
    uint256 private constant MAX_AMOUNT = type(uint128).max;
    uint256 private constant BASIS = 10_000;

    event Registered(uint64 indexed id, address indexed account, bytes publicKey, string name, string endpoint, uint16 commission);
    event Changed(uint64 indexed id, string name, string endpoint);
    event KeyChanged(uint64 indexed id, bytes publicKey);
    event CommissionChanged(uint64 indexed id, uint16 commission, uint64 from);
    event Stood(uint64 indexed id);
    /// @notice The validator left, made room for one with more stake, or was slashed.
    event Left(uint64 indexed id);
    event Unjailed(uint64 indexed id);
    event Attended(uint64 indexed id, uint64 epoch);
    event Delegated(uint64 indexed id, address indexed delegator, uint256 amount);
    /// @notice `amount` may be withdrawn from epoch `from` on.
    event Undelegated(uint64 indexed id, address indexed delegator, uint256 amount, uint64 from);
    event Withdrawn(address indexed delegator, uint256 amount, uint256 burnt);
    event Claimed(uint64 indexed id, address indexed delegator, uint256 amount);
    event Slashed(uint64 indexed id, uint64 height, address indexed reporter, uint256 burnt, uint256 reward);

    error NotTheSystem(address caller);
    error NotAtThisHeight(uint256 height);
    error NotAValidator(address account);
    error NoSuchValidator(uint64 id);
    error AccountTaken(address account);
    error KeyTaken(uint64 id);
    error BadPublicKey(uint256 length);
    error BadName(uint256 length);
    error BadEndpoint(uint256 length);
    error BadCommission(uint256 commission, uint256 most);
    error TooLittle(uint256 amount, uint256 least);
    error TooMuch(uint256 amount, uint256 most);
    error TooManyCandidates(uint256 leastStake);
    error TooManyUnbondings();
    error TooSoon(uint64 epoch);
    error TooOld(uint64 height);
    error OtherEpoch(uint64 epoch);
    error AlreadyAttended(uint64 id, uint64 epoch);
    error AlreadyStands(uint64 id);
    error DoesNotStand(uint64 id);
    error Jailed(uint64 id, uint64 until);
    error NotJailed(uint64 id);
    error Tombstoned(uint64 id);
    error Nothing();
    error NotPaid(address to);

    uint64 private epochBlocks; // slot 0, with the five that follow; from the genesis, and never written
    uint64 private unbondingEpochs;
    uint64 private jailEpochs;
    uint16 private seatCount;
    uint16 private slashBasisPoints;
    uint16 private keySize;
    uint128 private minSelfStake; // slot 1
    uint128 private rewardPerEpoch; // slot 1; for readers: the chain mints it
    uint256 private staked; // slot 2: behind all validators
    uint256 private owed; // slot 3: stake, stake on its way back and rewards
    uint256 private burnt; // slot 4: since ever
    uint64[] private candidates; // slot 5; in no order
    mapping(uint64 id => Validator) private validators; // slot 6; those that left stay, their ids, accounts and keys are never given again
    mapping(address account => uint64) private idOfAccount; // slot 7
    mapping(bytes32 keyHash => uint64) private idOfHash; // slot 8
    mapping(uint64 id => mapping(address delegator => Delegation)) private delegations; // slot 9
    Seats[2] private seated; // slots 10 to 13: of the last even and the last odd epoch
    mapping(address delegator => Unbonding[]) private unbondings;

    modifier onlySystem() {
        if (msg.sender != SYSTEM) revert NotTheSystem(msg.sender);
        _;
    }

    // What validators do.

    /// @notice Registers the caller's validator, stakes what is sent with it and stands for election. `signature` is the node key's on
    /// "jialing/stake/1" ‖ chain ‖ the caller's address: nobody registers a key of which it does not have the private half.
    function register(
        bytes calldata publicKey,
        bytes calldata signature,
        string calldata name,
        string calldata endpoint,
        uint16 commission
    ) external payable returns (uint64 id) {
        if (idOfAccount[msg.sender] != 0) revert AccountTaken(msg.sender);
        if (msg.value < minSelfStake) revert TooLittle(msg.value, minSelfStake);
        if (commission > MAX_COMMISSION) revert BadCommission(commission, MAX_COMMISSION);
        // Who is seated already, by votes, keeps its id; unless that entry was another's who registered it.
        id = VALIDATORS.memberOf(publicKey, msg.sender);
        if (id == 0 || validators[id].id != 0) id = VALIDATORS.enrol();
        Validator storage v = validators[id];
        v.id = id;
        v.account = msg.sender;
        v.commission = commission;
        v.nextCommission = commission;
        idOfAccount[msg.sender] = id;
        _setKey(v, publicKey, signature);
        _setEntry(v, name, endpoint);
        emit Registered(id, msg.sender, publicKey, name, endpoint, commission);
        _delegate(v, msg.value);
        _stand(v);
    }

    /// @notice Changes name and endpoint; the nodes learn of it with the next election.
    function change(string calldata name, string calldata endpoint) external {
        Validator storage v = _own();
        _setEntry(v, name, endpoint);
        emit Changed(v.id, name, endpoint);
    }

    /// @notice Changes the node key from the next election on. The former one stays answerable for what it signed; so it is for one change
    /// at a time, until that would be too old to be slashed.
    function changeKey(bytes calldata publicKey, bytes calldata signature) external {
        Validator storage v = _own();
        if (v.tombstoned) revert Tombstoned(v.id);
        if (v.formerKey.length != 0 && epoch() <= v.formerUntil + unbondingEpochs) revert TooSoon(v.formerUntil + unbondingEpochs + 1);
        v.formerKey = v.publicKey;
        v.formerUntil = _lastEpoch();
        _setKey(v, publicKey, signature);
        emit KeyChanged(v.id, publicKey);
    }

    /// @notice Changes the commission from the next epoch on.
    function changeCommission(uint16 commission) external {
        Validator storage v = _own();
        uint64 now_ = epoch();
        uint16 present = _commission(v, now_);
        uint256 most = uint256(present) + MAX_COMMISSION_RISE;
        if (most > MAX_COMMISSION) most = MAX_COMMISSION;
        if (commission > most) revert BadCommission(commission, most);
        v.commission = present;
        v.nextCommission = commission;
        v.commissionFrom = now_ + 1;
        emit CommissionChanged(v.id, commission, now_ + 1);
    }

    /// @notice Stands for election no longer. A seat lasts until its epoch ends, and stake is taken back with `undelegate`.
    function resign() external {
        _quit(_own());
    }

    /// @notice Stands for election again.
    function stand() external {
        Validator storage v = _own();
        if (v.tombstoned) revert Tombstoned(v.id);
        if (v.position != 0) revert AlreadyStands(v.id);
        if (v.jailedUntil != 0) revert Jailed(v.id, v.jailedUntil);
        uint256 self = _selfStake(v);
        if (self < minSelfStake) revert TooLittle(self, minSelfStake);
        _stand(v);
        emit Stood(v.id);
    }

    /// @notice Leaves jail when its time is over.
    function unjail() external {
        Validator storage v = _own();
        if (v.jailedUntil == 0) revert NotJailed(v.id);
        if (epoch() < v.jailedUntil) revert Jailed(v.id, v.jailedUntil);
        v.jailedUntil = 0;
        emit Unjailed(v.id);
    }

    /// @notice Shows that a validator is present in this epoch, by its node key's signature on "jialing/attend/1" ‖ chain ‖ id(8) ‖ epoch(8).
    /// Anybody may send it. A seat that shows it in no block of its epoch earns nothing for it and may be jailed.
    function attend(uint64 id, uint64 inEpoch, bytes calldata signature) external {
        Validator storage v = _validator(id);
        if (inEpoch != epoch()) revert OtherEpoch(epoch());
        if (attended(id, inEpoch)) revert AlreadyAttended(id, inEpoch);
        bytes memory message = abi.encodePacked("jialing/attend/1", Evidence.chainHash(), id, inEpoch);
        // The node may still hold the former key: it is the seat's until the next election.
        if (!Evidence.signed(v.publicKey, message, signature)) {
            if (v.formerKey.length == 0 || !Evidence.signed(v.formerKey, message, signature)) revert Evidence.BadSignature(0);
        }
        v.attended[inEpoch % 2] = inEpoch + 1;
        emit Attended(id, inEpoch);
    }

    // What everybody does.

    /// @notice Stakes what is sent behind a validator.
    function delegate(uint64 id) external payable {
        _delegate(_validator(id), msg.value);
    }

    /// @notice Takes stake back: it earns nothing from now on, can still be slashed, and may be withdrawn after `unbondingEpochs` more epochs.
    /// 2^256−1 takes all; what stays must not be less than the least delegation.
    function undelegate(uint64 id, uint256 amount) external {
        Validator storage v = _validator(id);
        Delegation storage d = delegations[id][msg.sender];
        uint256 shares = d.shares;
        if (shares == 0) revert Nothing();
        _settle(v, d);
        uint256 worth = shares * v.stake / v.shares;
        if (amount == type(uint256).max) amount = worth;
        if (amount > worth) revert TooMuch(amount, worth);
        if (amount != worth) {
            if (amount == 0) revert Nothing();
            uint256 least = minDelegation();
            if (worth - amount < least) revert TooLittle(worth - amount, least);
            shares = (amount * v.shares + v.stake - 1) / v.stake; // rounded up, for those who stay
        }
        d.shares -= uint128(shares);
        v.shares -= uint128(shares);
        v.stake -= uint128(amount);
        staked -= amount;
        if (msg.sender == v.account) v.selfShares -= uint128(shares);
        if (v.shares == 0) { // nobody is left whom the fractions of a wei could be owed to
            owed -= v.unsettled;
            v.unsettled = 0;
        }
        uint64 last = _lastEpoch();
        if (amount != 0) _unbond(id, last, v.tombstoned, amount);
        emit Undelegated(id, msg.sender, amount, last + unbondingEpochs + 1);
    }

    /// @notice Pays the caller's stake that is back; of what stood behind a slashed validator, its part burns now.
    function withdraw() external returns (uint256 amount) {
        Unbonding[] storage all = unbondings[msg.sender];
        uint64 now_ = epoch();
        uint256 lost = 0;
        for (uint256 i = all.length; i > 0; --i) {
            Unbonding memory u = all[i - 1];
            if (now_ <= u.last + unbondingEpochs) continue;
            uint256 cut = _cut(u);
            lost += cut;
            amount += u.amount - cut;
            all[i - 1] = all[all.length - 1];
            all.pop();
        }
        if (amount + lost == 0) revert Nothing();
        owed -= amount + lost;
        emit Withdrawn(msg.sender, amount, lost);
        _burn(lost);
        _pay(amount);
    }

    /// @notice Pays what the caller's stake behind a validator has earned; the validator's account gets its commission by it, too.
    function claim(uint64 id) external returns (uint256 amount) {
        Delegation storage d = delegations[id][msg.sender];
        _settle(_validator(id), d);
        amount = d.earned;
        if (amount == 0) revert Nothing();
        d.earned = 0;
        owed -= amount;
        emit Claimed(id, msg.sender, amount);
        _pay(amount);
    }

    /// @notice Slashes a validator that has signed two messages of which one excludes the other: its part of all stake behind it burns,
    /// that on its way back since the offence's epoch included, and it never stands again. So one offence counts, the first that is shown.
    /// The caller gets a twentieth of what is cut at once, and no more than a tenth of the least self stake: it pays for looking and for the
    /// gas, but not for offending and telling of it oneself.
    function slash(
        uint64 id,
        bytes calldata first,
        bytes calldata firstSignature,
        bytes calldata second,
        bytes calldata secondSignature
    ) external {
        Validator storage v = _validator(id);
        if (v.tombstoned) revert Tombstoned(id);
        (uint64 height, bool former) = _proven(v, first, firstSignature, second, secondSignature);
        _slash(v, height, former);
    }

    // What the chain does.

    /// @notice Elects the seats of the epoch that begins in ACTIVATION_DELAY blocks: of the candidates with the least self stake and outside of jail
    /// those with the most stake, of equal ones the lower id. If fewer than MIN_SEATS stand, present seats complete them to that number: first
    /// those never slashed, by their stake. Where there are not even so many known here, the present set stays.
    function elect() external onlySystem {
        if ((block.number + ACTIVATION_DELAY) % epochBlocks != 0) revert NotAtThisHeight(block.number);
        uint64 next = uint64((block.number + ACTIVATION_DELAY) / epochBlocks);
        uint64[] memory chosen = _complete(_top());
        if (chosen.length < MIN_SEATS) {
            chosen = VALIDATORS.memberIds();
        } else {
            IValidators.Member[] memory seats = new IValidators.Member[](chosen.length);
            for (uint256 i = 0; i < chosen.length; ++i) {
                Validator storage v = validators[chosen[i]];
                seats[i] = IValidators.Member(v.id, v.account, v.name, v.endpoint, v.publicKey);
            }
            VALIDATORS.seat(seats);
        }
        seated[next % 2].epoch = next;
        seated[next % 2].ids = chosen;
    }

    /// @notice Ends the epoch before this block's: shares the balance that is owed to nobody, `minted` included, among the stake behind the seats
    /// that attended, and jails those that did not, the least elected first, as long as MIN_SEATS could be elected; nobody where more than a third of
    /// the seats did not.
    function endEpoch(uint256 minted) external onlySystem {
        if (block.number == 0 || block.number % epochBlocks != 0) revert NotAtThisHeight(block.number);
        uint256 pool = address(this).balance - owed;
        if (pool < minted) revert TooMuch(minted, pool);
        uint64 ended = uint64(block.number / epochBlocks) - 1;
        uint64[] memory ids = seatsOf(ended);
        uint256 total = 0;
        uint256 absent = 0;
        for (uint256 i = 0; i < ids.length; ++i) {
            Validator storage v = validators[ids[i]];
            if (attended(ids[i], ended)) {
                if (!v.tombstoned) total += v.stake;
            } else {
                ++absent;
            }
        }
        if (total != 0) _share(ids, ended, pool < MAX_AMOUNT ? pool : MAX_AMOUNT, total);
        if (absent != 0 && absent <= ids.length / 3) _jail(ids, ended);
    }

    // What readers see.

    /// @notice The present epoch.
    function epoch() public view returns (uint64) {
        return uint64(block.number / epochBlocks);
    }

    /// @notice The least delegation: a thousandth of the least self stake, so that dust is not worth keeping books of.
    function minDelegation() public view returns (uint256) {
        return minSelfStake < 1000 ? 1 : minSelfStake / 1000;
    }

    /// @notice Whether an election would seat MIN_SEATS of the candidates: before that no chain may come under the rule of stake.
    function ready() external view returns (bool) {
        return _ableCount() >= MIN_SEATS;
    }

    /// @notice What the genesis set.
    function parameters()
        external
        view
        returns (
            uint64 blocks,
            uint16 seats,
            uint256 selfStake,
            uint64 unbonding,
            uint256 reward,
            uint16 slashed,
            uint64 jail
        )
    {
        return (epochBlocks, seatCount, minSelfStake, unbondingEpochs, rewardPerEpoch, slashBasisPoints, jailEpochs);
    }

    /// @notice Wei behind all validators; owed in all, stake and rewards together; burnt since ever; and what the next end of an epoch shares, beside
    /// what is minted until then.
    function totals() external view returns (uint256 behind, uint256 owing, uint256 gone, uint256 pool) {
        return (staked, owed, burnt, address(this).balance - owed);
    }

    /// @notice The ids of those who stand for election, in no order.
    function standing() external view returns (uint64[] memory) {
        return candidates;
    }

    function validatorOf(uint64 id) external view returns (Standing memory) {
        Validator storage v = _validator(id);
        return Standing({
            id: id,
            account: v.account,
            name: v.name,
            endpoint: v.endpoint,
            publicKey: v.publicKey,
            stake: v.stake,
            selfStake: _selfStake(v),
            commission: _commission(v, epoch()),
            nextCommission: v.nextCommission,
            jailedUntil: v.jailedUntil,
            stands: v.position != 0,
            tombstoned: v.tombstoned,
            able: v.position != 0 && _able(v)
        });
    }

    /// @notice Whose account, and whose key (present or former), that is; 0 for nobody's.
    function idOf(address account) external view returns (uint64) {
        return idOfAccount[account];
    }

    function idOfKey(bytes calldata publicKey) external view returns (uint64) {
        return idOfHash[keccak256(publicKey)];
    }

    /// @notice What an account's stake behind a validator is worth, and what it may claim.
    function delegationOf(uint64 id, address delegator) external view returns (uint256 worth, uint256 rewards) {
        Validator storage v = _validator(id);
        Delegation storage d = delegations[id][delegator];
        if (d.shares != 0) worth = uint256(d.shares) * v.stake / v.shares;
        rewards = d.earned + ((uint256(d.shares) * (v.perShare - d.settled)) >> 96);
    }

    /// @notice An account's stake on its way back.
    function unbondingOf(address delegator) external view returns (Claim[] memory claims) {
        Unbonding[] storage all = unbondings[delegator];
        claims = new Claim[](all.length);
        for (uint256 i = 0; i < claims.length; ++i) {
            Unbonding memory u = all[i];
            claims[i] = Claim(u.id, u.last + unbondingEpochs + 1, u.amount - _cut(u));
        }
    }

    /// @notice The seats of the present, the next or the last epoch, by descending stake at their election; none of others, or if none was held.
    function seatsOf(uint64 ofEpoch) public view returns (uint64[] memory ids) {
        Seats storage s = seated[ofEpoch % 2];
        if (s.epoch == ofEpoch) ids = s.ids;
    }

    /// @notice Whether a validator has shown its presence in an epoch, the present or the last one.
    function attended(uint64 id, uint64 inEpoch) public view returns (bool) {
        return validators[id].attended[inEpoch % 2] == inEpoch + 1;
    }

    function _own() private view returns (Validator storage v) {
        v = validators[idOfAccount[msg.sender]];
        if (v.id == 0) revert NotAValidator(msg.sender);
    }

    function _validator(uint64 id) private view returns (Validator storage v) {
        v = validators[id];
        if (v.id == 0) revert NoSuchValidator(id);
    }

    /// @dev The last epoch whose seats are, or will be, elected by what stood before this transaction.
    function _lastEpoch() private view returns (uint64) {
        return uint64((block.number + ACTIVATION_DELAY - 1) / epochBlocks);
    }

    function _commission(Validator storage v, uint64 inEpoch) private view returns (uint16) {
        return inEpoch >= v.commissionFrom ? v.nextCommission : v.commission;
    }

    function _selfStake(Validator storage v) private view returns (uint256) {
        return v.shares == 0 ? 0 : uint256(v.selfShares) * v.stake / v.shares;
    }

    /// @dev Whether a candidate may be elected.
    function _able(Validator storage v) private view returns (bool) {
        return v.jailedUntil == 0 && !v.tombstoned && _selfStake(v) >= minSelfStake;
    }

    function _ableCount() private view returns (uint256 n) {
        uint64[] memory all = candidates;
        for (uint256 i = 0; i < all.length; ++i) {
            if (_able(validators[all[i]])) ++n;
        }
    }

    /// @dev The part of an amount that a slash takes, rounded up.
    function _part(uint256 amount) private view returns (uint256) {
        return (amount * slashBasisPoints + BASIS - 1) / BASIS;
    }

    function _cut(Unbonding memory u) private view returns (uint256) {
        Validator storage v = validators[u.id];
        return v.tombstoned && !u.exempt && u.last >= v.offence ? _part(u.amount) : 0;
    }

    function _setEntry(Validator storage v, string calldata name, string calldata endpoint) private {
        if (bytes(name).length == 0 || bytes(name).length > MAX_NAME) revert BadName(bytes(name).length);
        if (bytes(endpoint).length > MAX_ENDPOINT) revert BadEndpoint(bytes(endpoint).length);
        v.name = name;
        v.endpoint = endpoint;
    }

    function _setKey(Validator storage v, bytes calldata publicKey, bytes calldata signature) private {
        // Another length would shift where the message begins for who verifies it.
        if (publicKey.length != keySize) revert BadPublicKey(publicKey.length);
        bytes32 hash = keccak256(publicKey);
        if (idOfHash[hash] != 0) revert KeyTaken(idOfHash[hash]);
        if (!Evidence.signed(publicKey, abi.encodePacked("jialing/stake/1", Evidence.chainHash(), msg.sender), signature)) revert Evidence.BadSignature(0);
        idOfHash[hash] = v.id;
        v.publicKey = publicKey;
    }

    function _proven(
        Validator storage v,
        bytes calldata first,
        bytes calldata firstSignature,
        bytes calldata second,
        bytes calldata secondSignature
    ) private view returns (uint64 height, bool former) {
        bytes memory key = v.publicKey;
        former = v.formerKey.length != 0 && !Evidence.signed(key, first, firstSignature);
        if (former) key = v.formerKey;
        height = Evidence.equivocation(key, first, firstSignature, second, secondSignature);
    }

    function _slash(Validator storage v, uint64 height, bool former) private {
        uint64 now_ = epoch();
        uint64 inEpoch = height / epochBlocks;
        if (inEpoch + unbondingEpochs < now_ || (former && inEpoch > v.formerUntil)) revert TooOld(height);
        v.tombstoned = true;
        v.offence = inEpoch < now_ ? inEpoch : now_;
        if (v.position != 0) _quit(v);
        uint256 cut = _part(v.stake);
        uint256 reward = cut / 20;
        if (reward > minSelfStake / 10) reward = minSelfStake / 10;
        v.stake -= uint128(cut);
        staked -= cut;
        owed -= cut;
        emit Slashed(v.id, height, msg.sender, cut - reward, reward);
        _burn(cut - reward);
        if (reward != 0) _pay(reward);
    }

    function _stand(Validator storage v) private {
        if (candidates.length >= MAX_CANDIDATES) _makeRoom(v.stake);
        candidates.push(v.id);
        v.position = uint32(candidates.length);
    }

    /// @dev The candidate with the least stake goes, first those that could not be elected and of equal ones the last in the list; if even it has
    /// no less than `stake`, nobody does.
    function _makeRoom(uint256 stake) private {
        uint64[] memory all = candidates;
        uint64 id = 0;
        uint256 least = stake;
        for (uint256 i = 0; i < all.length; ++i) {
            Validator storage v = validators[all[i]];
            uint256 has = _able(v) ? v.stake : 0;
            if (has > least || (has == least && id == 0)) continue;
            least = has;
            id = all[i];
        }
        if (id == 0) revert TooManyCandidates(stake);
        _quit(validators[id]);
    }

    function _quit(Validator storage v) private {
        uint256 position = v.position;
        if (position == 0) revert DoesNotStand(v.id);
        uint64 last = candidates[candidates.length - 1];
        candidates[position - 1] = last;
        validators[last].position = uint32(position);
        candidates.pop();
        v.position = 0;
        emit Left(v.id);
    }

    function _delegate(Validator storage v, uint256 amount) private {
        if (v.tombstoned) revert Tombstoned(v.id);
        uint256 least = minDelegation();
        if (amount < least) revert TooLittle(amount, least);
        if (amount > MAX_AMOUNT - staked) revert TooMuch(amount, MAX_AMOUNT - staked);
        Delegation storage d = delegations[v.id][msg.sender];
        _settle(v, d);
        uint128 shares = uint128(v.shares == 0 ? amount : amount * v.shares / v.stake);
        d.shares += shares;
        v.shares += shares;
        v.stake += uint128(amount);
        if (msg.sender == v.account) v.selfShares += shares;
        staked += amount;
        owed += amount;
        emit Delegated(v.id, msg.sender, amount);
    }

    /// @dev Moves what d's shares have earned so far into d, rounded down.
    function _settle(Validator storage v, Delegation storage d) private {
        uint256 earned = (uint256(d.shares) * (v.perShare - d.settled)) >> 96;
        d.settled = v.perShare;
        if (earned == 0) return;
        d.earned += earned;
        v.unsettled -= earned;
    }

    function _unbond(uint64 id, uint64 last, bool exempt, uint256 amount) private {
        Unbonding[] storage all = unbondings[msg.sender];
        for (uint256 i = 0; i < all.length; ++i) {
            Unbonding storage u = all[i];
            if (u.id != id || u.last != last || u.exempt != exempt) continue;
            u.amount += uint128(amount);
            return;
        }
        if (all.length >= MAX_UNBONDINGS) revert TooManyUnbondings();
        all.push(Unbonding(id, uint48(last), exempt, uint128(amount)));
    }

    /// @dev The candidates that may be elected with the most stake, at most seatCount, best first. A heap with the worst of them on top.
    function _top() private view returns (uint64[] memory ids) {
        uint64[] memory all = candidates;
        uint256[] memory heap = new uint256[](seatCount);
        uint256 n = 0;
        for (uint256 i = 0; i < all.length; ++i) {
            Validator storage v = validators[all[i]];
            if (!_able(v)) continue;
            uint256 rank = _rank(v);
            if (n < heap.length) {
                uint256 place = n++;
                for (; place > 0 && heap[(place - 1) / 2] > rank; place = (place - 1) / 2) heap[place] = heap[(place - 1) / 2];
                heap[place] = rank;
            } else if (rank > heap[0]) {
                _sink(heap, n, rank);
            }
        }
        ids = new uint64[](n);
        while (n > 0) {
            ids[n - 1] = ~uint64(heap[0]);
            --n;
            _sink(heap, n, heap[n]);
        }
    }

    /// @dev More stake first, then the lower id.
    function _rank(Validator storage v) private view returns (uint256) {
        return (uint256(v.stake) << 64) | ~v.id;
    }

    /// @dev Replaces the top of a heap of n.
    function _sink(uint256[] memory heap, uint256 n, uint256 rank) private pure {
        uint256 place = 0;
        while (true) {
            uint256 child = 2 * place + 1;
            if (child >= n) break;
            if (child + 1 < n && heap[child + 1] < heap[child]) ++child;
            if (heap[child] >= rank) break;
            heap[place] = heap[child];
            place = child;
        }
        if (n > 0) heap[place] = rank;
    }

    /// @dev Adds present seats to fewer than MIN_SEATS.
    function _complete(uint64[] memory chosen) private view returns (uint64[] memory all) {
        if (chosen.length >= MIN_SEATS) return chosen;
        uint64[] memory present = VALIDATORS.memberIds();
        all = new uint64[](MIN_SEATS);
        uint256 n = chosen.length;
        for (uint256 i = 0; i < n; ++i) all[i] = chosen[i];
        for (; n < MIN_SEATS; ++n) {
            uint256 best = 0;
            for (uint256 i = 0; i < present.length; ++i) {
                Validator storage v = validators[present[i]];
                if (v.id == 0 || _holds(all, n, v.id)) continue; // unknown: it was seated by votes, and never staked
                uint256 rank = _rank(v) | (v.tombstoned ? 0 : 1 << 192);
                if (rank > best) best = rank;
            }
            if (best == 0) return new uint64[](0);
            all[n] = ~uint64(best);
        }
    }

    function _holds(uint64[] memory ids, uint256 n, uint64 id) private pure returns (bool) {
        for (uint256 i = 0; i < n; ++i) {
            if (ids[i] == id) return true;
        }
        return false;
    }

    /// @dev Each wei behind a seat that attended earns the same, before the seat's commission. What does not divide stays in the pool.
    function _share(uint64[] memory ids, uint64 ended, uint256 pool, uint256 total) private {
        uint256 shared = 0;
        for (uint256 i = 0; i < ids.length; ++i) {
            Validator storage v = validators[ids[i]];
            if (!attended(ids[i], ended) || v.tombstoned || v.stake == 0) continue;
            uint256 reward = pool * v.stake / total;
            uint256 kept = reward * _commission(v, ended) / BASIS;
            delegations[v.id][v.account].earned += kept;
            uint256 perShare = ((reward - kept) << 96) / v.shares;
            v.perShare += perShare;
            // Rounded up: the sum of what is settled later, each rounded down, never exceeds it.
            uint256 rest = (perShare * v.shares + (1 << 96) - 1) >> 96;
            v.unsettled += rest;
            shared += kept + rest;
        }
        owed += shared;
    }

    /// @dev No more than a third: without so many there would have been no blocks, so they were there, and the fault is in how they could show it.
    function _jail(uint64[] memory ids, uint64 ended) private {
        uint256 able = _ableCount();
        for (uint256 i = ids.length; i > 0 && able > MIN_SEATS; --i) {
            Validator storage v = validators[ids[i - 1]];
            if (attended(ids[i - 1], ended) || v.position == 0 || !_able(v)) continue;
            v.jailedUntil = ended + 1 + jailEpochs;
            --able;
        }
    }

    /// @dev Makes wei vanish: an account that destroys itself in the transaction that made it takes its balance along (EIP-6780).
    function _burn(uint256 amount) private {
        if (amount == 0) return;
        burnt += amount;
        address gone;
        assembly ("memory-safe") {
            mstore(0, shl(240, 0x30ff)) // ADDRESS SELFDESTRUCT
            gone := create(amount, 0, 2)
        }
        if (gone == address(0)) revert NotPaid(gone);
    }

    /// @dev The last thing that a function does: the caller may call again.
    function _pay(uint256 amount) private {
        (bool done,) = msg.sender.call{value: amount}("");
        if (!done) revert NotPaid(msg.sender);
    }
}
