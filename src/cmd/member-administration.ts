import type { Logger } from "../lib/index.ts";
import type { Member, MemberStatus, Membership } from "../store/index.ts";
import type { NodeCredentials } from "./join-admission.ts";
import { refusal } from "./join-status.ts";
import type { MemberAddress, MemberList } from "./join-wire.ts";

export interface MemberAdministrationOptions {
  readonly membership: Membership;
  readonly credentials: NodeCredentials;
  readonly logger: Logger;
}

/** What administrators see and change of the group; changes on the leader only. */
export class MemberAdministration {
  readonly #options: MemberAdministrationOptions;

  constructor(options: MemberAdministrationOptions) {
    this.#options = options;
  }

  list(): MemberList {
    const { membership } = this.#options;
    return { clusterId: membership.clusterId, members: [...membership.status()] };
  }

  async promote(nameOrId: string): Promise<Member> {
    const { membership, logger } = this.#options;
    const member = this.#find(nameOrId);
    switch (member.role) {
      case "voter":
        return member;
      case "witness":
        throw refusal(
          409,
          "Conflict",
          `member ${member.id} is a witness, which votes already and holds no state: ` +
            "remove it and join a server instead",
        );
      case "learner":
        await membership.promote(member.id);
        logger.info("a server was promoted", { member: member.id, name: member.name });
        return { ...member, role: "voter" };
    }
  }

  async remove(nameOrId: string): Promise<Member> {
    const { membership, logger } = this.#options;
    const member = this.#find(nameOrId);
    const others = membership
      .members()
      .filter((other) => other.id !== member.id && other.role === "voter");
    if (others.length === 0) {
      throw refusal(
        409,
        "Conflict",
        `member ${member.id} is the last server that votes: without it there is no cluster`,
      );
    }
    // A leader that removed itself could write nothing more; the removal of others may be refused.
    const isSelf = member.id === membership.self;
    if (isSelf) await this.#forgetKey(member.name);
    await membership.remove(member.id);
    if (!isSelf) await this.#forgetKey(member.name);
    logger.info("a server was removed", { member: member.id, name: member.name });
    return member;
  }

  /** A server that listens elsewhere than before says so; its id and role stay. */
  async move(nameOrId: string, address: MemberAddress): Promise<Member> {
    const { membership, logger } = this.#options;
    const { id, name, role } = this.#find(nameOrId);
    const moved = { id, name, role, ...address };
    await membership.add(moved);
    logger.info("a server is reached elsewhere now", { member: id, ...address });
    return moved;
  }

  async #forgetKey(node: string): Promise<void> {
    const { credentials, logger } = this.#options;
    try {
      await credentials.forget(node);
    } catch (error) {
      // It opens no more than a node's until the Node is deleted, and must not keep the server in.
      logger.warn("the node credential of a removed server is still there", {
        node,
        error: String(error),
      });
    }
  }

  #find(nameOrId: string): MemberStatus {
    const members = this.#options.membership.status();
    const found = findMember(members, nameOrId);
    if (found !== undefined) return found;
    const known = members.map((member) => `${member.name} (${member.id})`).join(", ");
    throw refusal(
      404,
      "NotFound",
      `there is no member ${JSON.stringify(nameOrId)}; the members are ${known}`,
    );
  }
}

/** By id first: nobody can take another's id, but a name may look like one. */
export function findMember<M extends Member>(
  members: readonly M[],
  nameOrId: string,
): M | undefined {
  const byId = members.find((member) => String(member.id) === nameOrId);
  return byId ?? members.find((member) => member.name === nameOrId);
}
