import type { KindLogic, KindTable } from "../../kind-logic.ts";
import { defaultCustomResourceDefinition } from "./custom-resource-definition-defaults.ts";
import {
  validateCustomResourceDefinition,
  validateCustomResourceDefinitionUpdate,
} from "./custom-resource-definition-validation.ts";
import type { CustomResourceDefinition } from "./types.ts";

const customResourceDefinitions: KindLogic<CustomResourceDefinition> = {
  defaults: defaultCustomResourceDefinition,
  validate: validateCustomResourceDefinition,
  validateUpdate: validateCustomResourceDefinitionUpdate,
};

export const apiextensionsKinds: KindTable = {
  customresourcedefinitions: customResourceDefinitions,
};
