// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev What this contract asks the contract Validators, which the genesis puts at 0x0000000000000000000000000000000000001001.
interface IVoters {
    function memberIds() external view returns (uint64[] memory);

    function validatorOf(address account) external view returns (uint64 id);

    function quorum(uint256 n) external pure returns (uint256);

    function setElectedByStake(bool elected) external;
}

/// @dev What it asks the contract Staking, which the genesis puts at 0x0000000000000000000000000000000000001003 where it has parameters for it.
interface IStake {
    function ready() external view returns (bool);
}

/// @title The consensus engine of the chain
/// @notice Holds by which engine the validators order and attest blocks, and lets them change it by their votes. The genesis puts it at
/// 0x0000000000000000000000000000000000001004 with the founding engine; every node reads it there. A change rules from
/// `ACTIVATION_DELAY` blocks after the vote that decided it on.
/// @dev Nodes read slot 0 straight from storage: its layout is part of the protocol (internal/govern/engines.go). A proposal passes when the
/// votes of present validators reach the quorum of Validators, which is the strictest of all engines': who trusts fewer must be agreed by more.
contract Engines {
    /// @notice The engines among which a chain may change. What is missing here (a chain of work) has no validators who could vote.
    enum Engine {
        None,
        Solo,
        Raft,
        Bft,
        Pos
    }

    /// @notice What keeps a proposal from being applied.
    enum Hindrance {
        None,
        Same, // it is the engine that rules
        Pending, // another change has been decided and does not rule yet
        NotConfigured, // the genesis has no parameters for it
        TooFew, // it needs more validators
        NotReady, // fewer than four stand for election by stake with enough of their own
        Unsafe // one node alone would take over from several
    }

    struct Proposal {
        Engine engine;
        uint64 proposer;
        uint64 expires; // the last block in which one may vote; 0: there is no such proposal
        uint64[] voters; // those who left included
    }

    IVoters private constant VALIDATORS = IVoters(0x0000000000000000000000000000000000001001);
    IStake private constant STAKING = IStake(0x0000000000000000000000000000000000001003);

    /// @notice After how many blocks a change takes effect.
    uint64 public constant ACTIVATION_DELAY = 64;
    /// @notice Fewer bear no crash, or no lie.
    uint256 public constant MIN_RAFT = 3;
    uint256 public constant MIN_BFT = 4;
    /// @notice How many proposals of one validator may be open: it bounds what is stored.
    uint256 public constant MAX_OPEN = 2;
    /// @notice For how many blocks one may vote.
    uint64 public constant LIFETIME = 1_000_000;

    event Proposed(uint64 indexed proposal, uint64 indexed proposer, Engine engine, uint64 expires);
    /// @notice `votes` of present validators, of `needed`.
    event Voted(uint64 indexed proposal, uint64 indexed validator, uint256 votes, uint256 needed);
    event Withdrawn(uint64 indexed proposal);
    event Lapsed(uint64 indexed proposal);
    /// @notice `engine` rules from block `from` on.
    event Changed(uint64 indexed proposal, Engine engine, uint64 from);

    error NotAValidator(address account);
    error NotTheProposer(uint64 proposal, uint64 proposer);
    error NoSuchProposal(uint64 proposal);
    error Expired(uint64 proposal, uint64 expired);
    error AlreadyVoted(uint64 proposal, uint64 validator);
    error TooManyOpen(uint64 validator);
    error NotEnoughVotes(uint256 votes, uint256 needed);
    error Hindered(Hindrance hindrance);

    // Slot 0: written by every change and by nothing else, so that nodes look no further. `settled` rules from block `from` on, `before`
    // from block `beforeFrom` until then.
    uint64 private from;
    uint64 private beforeFrom;
    Engine private settled;
    Engine private before;
    /// @dev Slot 1: a bit for each engine that the genesis has parameters for.
    uint256 private configured;
    uint256 private lastProposal; // slot 2
    mapping(uint64 validator => uint64[]) private openOf; // slot 3; MAX_OPEN at most each
    mapping(uint64 proposal => Proposal) private proposals; // slot 4

    /// @notice Proposes another engine, and votes for that. What could not be applied now is refused now.
    function propose(Engine engine) external returns (uint64 proposal) {
        uint64 proposer = _caller();
        Hindrance h = hindrance(engine);
        if (h != Hindrance.None) revert Hindered(h);
        _lapse(proposer);
        if (openOf[proposer].length >= MAX_OPEN) revert TooManyOpen(proposer);
        proposal = uint64(++lastProposal);
        openOf[proposer].push(proposal);
        Proposal storage p = proposals[proposal];
        p.engine = engine;
        p.proposer = proposer;
        p.expires = uint64(block.number) + LIFETIME;
        emit Proposed(proposal, proposer, engine, p.expires);
        _vote(proposal, p, proposer);
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
        (uint256 votes, uint256 needed) = _votes(p);
        if (votes < needed) revert NotEnoughVotes(votes, needed);
        Hindrance h = hindrance(p.engine);
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

    /// @notice The engine that rules this block.
    function ruling() public view returns (Engine) {
        return block.number >= from ? settled : before;
    }

    /// @notice The engine that was decided on last, and the first block that it rules.
    function decided() external view returns (Engine engine, uint64 since) {
        return (settled, from);
    }

    /// @notice Whether the chain could change to an engine now, and if not, why.
    function hindrance(Engine engine) public view returns (Hindrance) {
        if (block.number < from) return Hindrance.Pending;
        if (engine == settled) return Hindrance.Same;
        if (engine == Engine.Solo) return Hindrance.Unsafe;
        if (engine == Engine.None || (configured >> uint256(uint8(engine))) & 1 == 0) return Hindrance.NotConfigured;
        if (VALIDATORS.memberIds().length < (engine == Engine.Raft ? MIN_RAFT : MIN_BFT)) return Hindrance.TooFew;
        if (engine == Engine.Pos && !STAKING.ready()) return Hindrance.NotReady;
        return Hindrance.None;
    }

    /// @notice The proposals on which one may vote now.
    function openProposals() external view returns (uint64[] memory open) {
        uint64[] memory present = VALIDATORS.memberIds();
        uint64[] memory found = new uint64[](present.length * MAX_OPEN);
        uint256 n = 0;
        for (uint256 i = 0; i < present.length; ++i) {
            uint64[] storage own = openOf[present[i]];
            for (uint256 j = 0; j < own.length; ++j) {
                if (block.number <= proposals[own[j]].expires) found[n++] = own[j];
            }
        }
        open = new uint64[](n);
        for (uint256 i = 0; i < n; ++i) open[i] = found[i];
    }

    /// @notice A proposal with its votes that count, how many are needed, and what would hinder it.
    function proposalOf(uint64 proposal) external view returns (Proposal memory content, uint256 votes, uint256 needed, Hindrance hindered) {
        Proposal storage p = _open(proposal);
        (votes, needed) = _votes(p);
        return (p, votes, needed, hindrance(p.engine));
    }

    function _caller() private view returns (uint64 id) {
        id = VALIDATORS.validatorOf(msg.sender);
        if (id == 0) revert NotAValidator(msg.sender);
    }

    function _open(uint64 proposal) private view returns (Proposal storage p) {
        p = proposals[proposal];
        if (p.expires == 0) revert NoSuchProposal(proposal);
        if (block.number > p.expires) revert Expired(proposal, p.expires);
    }

    function _vote(uint64 proposal, Proposal storage p, uint64 voter) private {
        p.voters.push(voter);
        (uint256 votes, uint256 needed) = _votes(p);
        emit Voted(proposal, voter, votes, needed);
        if (votes >= needed && hindrance(p.engine) == Hindrance.None) _apply(proposal, p);
    }

    /// @dev The votes of those who are validators now.
    function _votes(Proposal storage p) private view returns (uint256 votes, uint256 needed) {
        uint64[] memory present = VALIDATORS.memberIds();
        uint64[] memory voters = p.voters;
        for (uint256 i = 0; i < voters.length; ++i) {
            for (uint256 j = 0; j < present.length; ++j) {
                if (present[j] != voters[i]) continue;
                ++votes;
                break;
            }
        }
        needed = VALIDATORS.quorum(present.length);
    }

    function _apply(uint64 proposal, Proposal storage p) private {
        Engine engine = p.engine;
        _close(proposal, p.proposer);
        bool byStake = settled == Engine.Pos;
        (before, beforeFrom) = (settled, from);
        (settled, from) = (engine, uint64(block.number) + ACTIVATION_DELAY);
        if (byStake != (engine == Engine.Pos)) VALIDATORS.setElectedByStake(!byStake);
        emit Changed(proposal, engine, from);
    }

    function _close(uint64 proposal, uint64 proposer) private {
        delete proposals[proposal];
        uint64[] storage own = openOf[proposer];
        for (uint256 i = 0; i < own.length; ++i) {
            if (own[i] != proposal) continue;
            own[i] = own[own.length - 1];
            own.pop();
            return;
        }
    }

    /// @dev Forgets a validator's proposals that have expired.
    function _lapse(uint64 proposer) private {
        uint64[] storage own = openOf[proposer];
        for (uint256 i = own.length; i > 0; --i) {
            uint64 proposal = own[i - 1];
            if (block.number <= proposals[proposal].expires) continue;
            _close(proposal, proposer);
            emit Lapsed(proposal);
        }
    }
}
