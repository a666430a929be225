import {
  validateCsiDriver,
  validateCsiNode,
  validateCsiStorageCapacity,
  validateStorageClass,
  validateStorageClassUpdate,
  validateVolumeAttachment,
  validateVolumeAttachmentUpdate,
  validateVolumeAttributesClass,
  validateVolumeAttributesClassUpdate,
} from "./storage-validation.ts";
import type { KindLogic, KindTable } from "../../kind-logic.ts";
import {
  csiDriverColumns,
  csiNodeColumns,
  csiStorageCapacityColumns,
  storageClassColumns,
  volumeAttachmentColumns,
  volumeAttributesClassColumns,
} from "./storage-columns.ts";
import { defaultCsiDriver, defaultStorageClass } from "./storage-defaults.ts";
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from "./types.ts";

const storageClasses: KindLogic<StorageClass> = {
  defaults: defaultStorageClass,
  validate: validateStorageClass,
  validateUpdate: validateStorageClassUpdate,
  columns: storageClassColumns,
};

const csiDrivers: KindLogic<CSIDriver> = {
  defaults: defaultCsiDriver,
  validate: validateCsiDriver,
  columns: csiDriverColumns,
};
const csiNodes: KindLogic<CSINode> = { validate: validateCsiNode, columns: csiNodeColumns };
const csiStorageCapacities: KindLogic<CSIStorageCapacity> = {
  validate: validateCsiStorageCapacity,
  columns: csiStorageCapacityColumns,
};
const volumeAttachments: KindLogic<VolumeAttachment> = {
  validate: validateVolumeAttachment,
  validateUpdate: validateVolumeAttachmentUpdate,
  columns: volumeAttachmentColumns,
};
const volumeAttributesClasses: KindLogic<VolumeAttributesClass> = {
  validate: validateVolumeAttributesClass,
  validateUpdate: validateVolumeAttributesClassUpdate,
  columns: volumeAttributesClassColumns,
};

export const storageKinds: KindTable = {
  csidrivers: csiDrivers,
  csinodes: csiNodes,
  csistoragecapacities: csiStorageCapacities,
  storageclasses: storageClasses,
  volumeattachments: volumeAttachments,
  volumeattributesclasses: volumeAttributesClasses,
};
