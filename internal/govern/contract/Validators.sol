// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev What this contract asks the contract Staking, which a genesis with stake puts at 0x0000000000000000000000000000000000001003.
interface IStaking {
    function idOfKey(bytes calldata publicKey) external view returns (uint64 id);
}

/// @title The validators of the chain
/// @notice Holds who orders and attests blocks, and lets the validators change that by their votes; under the rule of stake the contract
/// Staking changes it instead. The genesis puts it at 0x0000000000000000000000000000000000001001 with the founding set; every node reads it
/// there. What a block changes here rules from `ACTIVATION_DELAY` blocks later on.
/// @dev Nodes read `members` and `changedAt` straight from storage: their slots, and the order and types of Member's fields, are part
/// of the protocol (internal/govern/layout.go). A proposal passes when the votes of present validators reach `quorum`. Ids are never
/// given twice, so the vote of a validator that left never counts again: one that stakes has its id from here for ever, and
/// what was open when stake began to rule is void.
contract Validators {
    /// @notice What a proposal does: add a validator, remove one, or change the proposer's own entry.
    enum Kind {
        Add,
        Remove,
        Change
    }

    /// @notice What keeps a proposal from being applied.
    enum Hindrance {
        None,
        TooFew, // no more than MIN_MEMBERS would remain
        TooMany, // MAX_MEMBERS are there
        KeyTaken, // another validator has that public key
        AccountTaken, // another validator votes with that account
        NoSuchValidator, // whom to remove is none
        ChangedInThisBlock // one change per block
    }

    /// @notice A validator: its node's public key, and the account that votes for it and is its blocks' COINBASE.
    struct Member {
        uint64 id;
        address account;
        string name;
        string endpoint; // host:port where other nodes reach it; may be empty
        bytes publicKey;
    }

    struct Proposal {
        Kind kind;
        uint64 proposer;
        uint64 target; // whom Remove and Change are about; 0 for Add
        uint64 expires; // the last block in which one may vote; 0: there is no such proposal
        address account;
        string name;
        string endpoint;
        bytes publicKey;
        uint64[] voters; // those who left included
    }

    address private constant STAKING = address(0x1003);
    address private constant ENGINES = address(0x1004);

    /// @notice After how many blocks a change takes effect.
    uint64 public constant ACTIVATION_DELAY = 64;
    /// @notice With fewer than four no fault is borne.
    uint256 public constant MIN_MEMBERS = 4;
    /// @notice Every node reads them all after a change, and a vote counts them; consensus grows with their square long before.
    uint256 public constant MAX_MEMBERS = 128;
    /// @notice How many proposals of one validator may be open: it bounds what is stored.
    uint256 public constant MAX_OPEN = 4;
    /// @notice For how many blocks one may vote: on the busiest chain (30 blocks a second) nine hours, on one with a block a second
    /// eleven days.
    uint64 public constant LIFETIME = 1_000_000;
    /// @notice The longest public key, name (64 characters of four bytes) and endpoint (a host name's limit), in bytes.
    uint256 public constant MAX_KEY = 128;
    uint256 public constant MAX_NAME = 256;
    uint256 public constant MAX_ENDPOINT = 255;

    event Proposed(
        uint64 indexed proposal,
        uint64 indexed proposer,
        Kind kind,
        uint64 target,
        bytes publicKey,
        address account,
        string name,
        string endpoint,
        uint64 expires
    );
    /// @notice `votes` of present validators, of `needed`.
    event Voted(uint64 indexed proposal, uint64 indexed validator, uint256 votes, uint256 needed);
    event Withdrawn(uint64 indexed proposal);
    /// @notice The proposal expired, or its proposer left.
    event Lapsed(uint64 indexed proposal);
    /// @notice From block `from` on the validator is one.
    event Added(
        uint64 indexed proposal, uint64 indexed id, bytes publicKey, address account, string name, string endpoint, uint64 from
    );
    event Removed(uint64 indexed proposal, uint64 indexed id, uint64 from);
    event Changed(
        uint64 indexed proposal, uint64 indexed id, bytes publicKey, address account, string name, string endpoint, uint64 from
    );

    /// @notice Stake rules: no vote changes who is a validator.
    error ElectedByStake();
    error NotTheContract(address caller);
    error NotAValidator(address account);
    error NotTheProposer(uint64 proposal, uint64 proposer);
    error NoSuchProposal(uint64 proposal);
    error Expired(uint64 proposal, uint64 expired);
    error AlreadyVoted(uint64 proposal, uint64 validator);
    error TooManyOpen(uint64 validator);
    error NotEnoughVotes(uint256 votes, uint256 needed);
    error Hindered(Hindrance hindrance);
    error BadPublicKey(uint256 length);
    error BadName(uint256 length);
    error BadEndpoint(uint256 length);
    error BadAccount();

    Member[] private members; // slot 0; in no order
    /// @notice The last block that changed a validator; 0 for none.
    uint64 public changedAt; // slot 1: written by every change and by nothing else, so that nodes look no further
    uint64 private lastId; // slot 1; whoever registers stake gets the next one
    uint256 private lastProposal; // slot 2
    mapping(uint64 id => uint256) private position; // slot 3: index in members + 1
    mapping(address account => uint64) private idOfAccount; // slot 4
    mapping(bytes32 keyHash => uint64) private idOfKey; // slot 5
    mapping(uint64 id => uint64[]) private openOf; // the proposals of a present validator, MAX_OPEN at most
    mapping(uint64 proposal => Proposal) private proposals; // slot 7
    /// @notice Whether stake elects the validators.
    bool public electedByStake; // slot 8
    uint256 private voided; // the last proposal that is void because stake has ruled since

    /// @notice Proposes another validator, and votes for that.
    function proposeAdd(bytes calldata publicKey, address account, string calldata name, string calldata endpoint)
        external
        returns (uint64 proposal)
    {
        return _propose(Kind.Add, _caller(), 0, publicKey, account, name, endpoint);
    }

    /// @notice Proposes that a validator, possibly the caller, be one no longer, and votes for that.
    function proposeRemove(uint64 id) external returns (uint64 proposal) {
        return _propose(Kind.Remove, _caller(), id, "", address(0), "", "");
    }

    /// @notice Proposes another entry for the caller itself, and votes for that: a new key, account, name or endpoint.
    function proposeChange(bytes calldata publicKey, address account, string calldata name, string calldata endpoint)
        external
        returns (uint64 proposal)
    {
        uint64 id = _caller();
        return _propose(Kind.Change, id, id, publicKey, account, name, endpoint);
    }

    /// @notice Votes for an open proposal. The vote that makes a quorum applies it, unless something hinders that: see `execute`.
    function vote(uint64 proposal) external {
        uint64 voter = _caller();
        Proposal storage p = _open(proposal);
        for (uint256 i = 0; i < p.voters.length; ++i) {
            if (p.voters[i] == voter) revert AlreadyVoted(proposal, voter);
        }
        _vote(proposal, p, voter);
    }

    /// @notice Applies a proposal that has its votes but was hindered by something that has gone since, or got them by others' leaving.
    function execute(uint64 proposal) external {
        _caller();
        Proposal storage p = _open(proposal);
        uint256 votes = _votes(p);
        uint256 needed = quorum(members.length);
        if (votes < needed) revert NotEnoughVotes(votes, needed);
        Hindrance h = _hindrance(p);
        if (h != Hindrance.None) revert Hindered(h);
        _apply(proposal, p);
    }

    /// @notice Takes back a proposal of the caller.
    function withdraw(uint64 proposal) external {
        uint64 id = _caller();
        Proposal storage p = proposals[proposal];
        if (p.expires == 0) revert NoSuchProposal(proposal);
        if (p.proposer != id) revert NotTheProposer(proposal, p.proposer);
        _close(proposal, id);
        emit Withdrawn(proposal);
    }

    /// @notice Lets stake elect the validators from now on, or their votes again. For the contract that decides on engines; it comes when the
    /// decision falls, for what is written here takes effect after the same delay as another engine does.
    function setElectedByStake(bool elected) external {
        if (msg.sender != ENGINES) revert NotTheContract(msg.sender);
        electedByStake = elected;
        voided = lastProposal;
    }

    /// @notice Gives an id to who registers stake. For the contract Staking.
    function enrol() external returns (uint64 id) {
        if (msg.sender != STAKING) revert NotTheContract(msg.sender);
        return ++lastId;
    }

    /// @notice Makes these the validators, at the end of a block. For the contract Staking, which has seen to it that they have different ids, keys and
    /// accounts. What is the same already is not written.
    function seat(Member[] calldata seats) external {
        if (msg.sender != STAKING) revert NotTheContract(msg.sender);
        if (seats.length < MIN_MEMBERS || seats.length > MAX_MEMBERS) revert Hindered(seats.length < MIN_MEMBERS ? Hindrance.TooFew : Hindrance.TooMany);
        bool[] memory stays = new bool[](members.length);
        bool[] memory same = new bool[](seats.length);
        // First go all former keys and accounts, which may be another's from now on.
        for (uint256 i = 0; i < seats.length; ++i) {
            uint256 index = position[seats[i].id];
            if (index == 0) continue;
            stays[index - 1] = true;
            Member memory m = members[index - 1];
            same[i] = keccak256(abi.encode(m)) == keccak256(abi.encode(seats[i]));
            if (!same[i]) _forget(m);
        }
        bool changed = false;
        for (uint256 i = stays.length; i > 0; --i) {
            if (stays[i - 1]) continue;
            _drop(i - 1);
            changed = true;
        }
        for (uint256 i = 0; i < seats.length; ++i) {
            if (same[i]) continue;
            _put(seats[i]);
            changed = true;
        }
        if (changed) changedAt = uint64(block.number);
    }

    /// @notice The validators' ids, in no order.
    function memberIds() external view returns (uint64[] memory ids) {
        ids = new uint64[](members.length);
        for (uint256 i = 0; i < ids.length; ++i) ids[i] = members[i].id;
    }

    /// @notice The validator that has that key and that account; 0 where none has both.
    function memberOf(bytes calldata publicKey, address account) external view returns (uint64 id) {
        id = idOfKey[keccak256(publicKey)];
        if (idOfAccount[account] != id) id = 0;
    }

    /// @notice The validators as the last block left them, by ascending id. Who rules now may differ for ACTIVATION_DELAY blocks.
    function validators() external view returns (Member[] memory all) {
        all = members;
        for (uint256 i = 1; i < all.length; ++i) {
            Member memory m = all[i];
            uint256 to = i;
            for (; to > 0 && all[to - 1].id > m.id; --to) all[to] = all[to - 1];
            all[to] = m;
        }
    }

    /// @notice Whose account that is; 0 for nobody's.
    function validatorOf(address account) external view returns (uint64 id) {
        return idOfAccount[account];
    }

    /// @notice The proposals on which one may vote now.
    function openProposals() external view returns (uint64[] memory open) {
        uint64[] memory found = new uint64[](members.length * MAX_OPEN);
        uint256 n = 0;
        for (uint256 i = 0; i < members.length; ++i) {
            uint64[] storage own = openOf[members[i].id];
            for (uint256 j = 0; j < own.length; ++j) {
                if (_votable(own[j])) found[n++] = own[j];
            }
        }
        open = new uint64[](n);
        for (uint256 i = 0; i < n; ++i) open[i] = found[i];
    }

    /// @notice A proposal with its votes that count, how many are needed, and what would hinder it.
    function proposalOf(uint64 proposal)
        external
        view
        returns (Proposal memory content, uint256 votes, uint256 needed, Hindrance hindrance)
    {
        Proposal storage p = _open(proposal);
        return (p, _votes(p), quorum(members.length), _hindrance(p));
    }

    /// @notice How many of n validators must agree: any two quorums share an honest one while less than a third lie.
    function quorum(uint256 n) public pure returns (uint256) {
        return (n + (n - 1) / 3 + 2) / 2;
    }

    function _caller() private view returns (uint64 id) {
        if (electedByStake) revert ElectedByStake();
        id = idOfAccount[msg.sender];
        if (id == 0) revert NotAValidator(msg.sender);
    }

    function _votable(uint64 proposal) private view returns (bool) {
        return proposal > voided && block.number <= proposals[proposal].expires;
    }

    function _open(uint64 proposal) private view returns (Proposal storage p) {
        p = proposals[proposal];
        if (p.expires == 0 || proposal <= voided) revert NoSuchProposal(proposal);
        if (block.number > p.expires) revert Expired(proposal, p.expires);
    }

    function _propose(
        Kind kind,
        uint64 proposer,
        uint64 target,
        bytes memory publicKey,
        address account,
        string memory name,
        string memory endpoint
    ) private returns (uint64 proposal) {
        if (kind != Kind.Remove) {
            if (publicKey.length == 0 || publicKey.length > MAX_KEY) revert BadPublicKey(publicKey.length);
            if (account == address(0)) revert BadAccount();
            if (bytes(name).length == 0 || bytes(name).length > MAX_NAME) revert BadName(bytes(name).length);
            if (bytes(endpoint).length > MAX_ENDPOINT) revert BadEndpoint(bytes(endpoint).length);
        }
        _lapse(proposer);
        if (openOf[proposer].length >= MAX_OPEN) revert TooManyOpen(proposer);
        proposal = uint64(++lastProposal);
        openOf[proposer].push(proposal);
        Proposal storage p = proposals[proposal];
        p.kind = kind;
        p.proposer = proposer;
        p.target = target;
        p.expires = uint64(block.number) + LIFETIME;
        p.account = account;
        p.name = name;
        p.endpoint = endpoint;
        p.publicKey = publicKey;
        Hindrance h = _hindrance(p);
        if (h != Hindrance.None && h != Hindrance.ChangedInThisBlock) revert Hindered(h);
        emit Proposed(proposal, proposer, kind, target, publicKey, account, name, endpoint, p.expires);
        _vote(proposal, p, proposer);
    }

    function _vote(uint64 proposal, Proposal storage p, uint64 voter) private {
        p.voters.push(voter);
        uint256 votes = _votes(p);
        uint256 needed = quorum(members.length);
        emit Voted(proposal, voter, votes, needed);
        if (votes >= needed && _hindrance(p) == Hindrance.None) _apply(proposal, p);
    }

    /// @dev The votes of those who are validators now.
    function _votes(Proposal storage p) private view returns (uint256 votes) {
        for (uint256 i = 0; i < p.voters.length; ++i) {
            if (position[p.voters[i]] != 0) ++votes;
        }
    }

    function _hindrance(Proposal storage p) private view returns (Hindrance) {
        if (p.kind == Kind.Remove) {
            if (position[p.target] == 0) return Hindrance.NoSuchValidator;
            if (members.length <= MIN_MEMBERS) return Hindrance.TooFew;
        } else {
            if (p.kind == Kind.Add && members.length >= MAX_MEMBERS) return Hindrance.TooMany;
            uint64 owner = idOfKey[keccak256(p.publicKey)];
            if (owner != 0 && owner != p.target) return Hindrance.KeyTaken;
            owner = idOfAccount[p.account];
            if (owner != 0 && owner != p.target) return Hindrance.AccountTaken;
        }
        return changedAt == block.number ? Hindrance.ChangedInThisBlock : Hindrance.None;
    }

    function _apply(uint64 proposal, Proposal storage stored) private {
        Proposal memory p = stored;
        _close(proposal, p.proposer);
        changedAt = uint64(block.number);
        uint64 from = uint64(block.number) + ACTIVATION_DELAY;
        if (p.kind == Kind.Remove) {
            _remove(p.target);
            emit Removed(proposal, p.target, from);
        } else if (p.kind == Kind.Add) {
            uint64 id = _idFor(p.publicKey);
            _put(Member(id, p.account, p.name, p.endpoint, p.publicKey));
            emit Added(proposal, id, p.publicKey, p.account, p.name, p.endpoint, from);
        } else {
            _forget(members[position[p.target] - 1]);
            _put(Member(p.target, p.account, p.name, p.endpoint, p.publicKey));
            emit Changed(proposal, p.target, p.publicKey, p.account, p.name, p.endpoint, from);
        }
    }

    /// @dev The id of who joins: the one that it has by its stake, or the next.
    function _idFor(bytes memory publicKey) private returns (uint64 id) {
        if (STAKING.code.length != 0) id = IStaking(STAKING).idOfKey(publicKey);
        if (id == 0 || position[id] != 0) id = ++lastId;
    }

    /// @dev Writes a validator's entry, a new one or another for who is there and whose key and account are forgotten.
    function _put(Member memory m) private {
        uint256 index = position[m.id];
        if (index == 0) {
            members.push(m);
            position[m.id] = members.length;
        } else {
            members[index - 1] = m;
        }
        idOfAccount[m.account] = m.id;
        idOfKey[keccak256(m.publicKey)] = m.id;
    }

    function _forget(Member memory m) private {
        delete idOfAccount[m.account];
        delete idOfKey[keccak256(m.publicKey)];
    }

    function _remove(uint64 id) private {
        _drop(position[id] - 1);
        uint64[] storage own = openOf[id];
        for (uint256 i = 0; i < own.length; ++i) {
            delete proposals[own[i]];
            emit Lapsed(own[i]);
        }
        delete openOf[id];
    }

    /// @dev Its proposals stay: where votes decide, `_remove` lapses them; where stake does, they are void.
    function _drop(uint256 index) private {
        Member memory m = members[index];
        _forget(m);
        delete position[m.id];
        uint256 last = members.length - 1;
        if (index != last) {
            members[index] = members[last];
            position[members[index].id] = index + 1;
        }
        members.pop();
    }

    /// @dev Forgets a proposal of a present validator.
    function _close(uint64 proposal, uint64 proposer) private {
        uint64[] storage own = openOf[proposer];
        for (uint256 i = 0; i < own.length; ++i) {
            if (own[i] != proposal) continue;
            own[i] = own[own.length - 1];
            own.pop();
            break;
        }
        delete proposals[proposal];
    }

    /// @dev Forgets the proposer's proposals that have expired or are void.
    function _lapse(uint64 proposer) private {
        uint64[] storage own = openOf[proposer];
        for (uint256 i = own.length; i > 0; --i) {
            uint64 proposal = own[i - 1];
            if (_votable(proposal)) continue;
            _close(proposal, proposer);
            emit Lapsed(proposal);
        }
    }
}
